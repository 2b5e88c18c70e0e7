//! A host of the network: smoltcp's stack as it is, over Ethernet, with the bytes of its connections at hand.

mod ethernet;
mod socket;

pub use socket::{DatagramSocket, Datagrams, Stream, TcpHandle};

use core::net::{Ipv4Addr, SocketAddrV4};
use ethernet::Port;
use reflex_event::Instant;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::time::Instant as Time;
use smoltcp::wire::{HardwareAddress, IpCidr};

/// The first port that connections are opened from.
const FIRST_PORT: u16 = 49_152;

/// A host with an address.
pub struct Peer {
    port: Port,
    interface: Interface,
    sockets: SocketSet<'static>,
    streams: Vec<Stream>,
    datagrams: Vec<Datagrams>,
    next_port: u16,
}

impl Peer {
    /// A host at `mac` with `address`, in a network of 24 bits. What it chooses by chance follows from `seed`.
    pub fn new(mac: [u8; 6], address: Ipv4Addr, seed: u64) -> Self {
        let mut port = Port::new(mac, address);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut port, Time::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address.into(), 24)).expect("room for one address");
        });
        let (streams, datagrams) = (Vec::new(), Vec::new());
        let sockets = SocketSet::new(Vec::new());
        Self { port, interface, sockets, streams, datagrams, next_port: FIRST_PORT }
    }

    /// A frame has come for it.
    pub fn receive(&mut self, frame: &[u8]) {
        self.port.receive(frame);
    }

    /// Does what there is to do at `now`, and hands `send` the frames to be sent. True when there was something.
    pub fn poll(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) -> bool {
        let time = Time::from_micros((now.as_nanos() / 1000) as i64);
        let mut busy = false;
        loop {
            self.pump();
            self.interface.poll(time, &mut self.port, &mut self.sockets);
            self.pump();
            let mut quiet = self.port.is_idle();
            while let Some(frame) = self.port.take() {
                (busy, quiet) = (true, false);
                send(frame);
            }
            if quiet {
                return busy;
            }
        }
    }

    /// Moves what there is between the sockets and what is at hand.
    fn pump(&mut self) {
        for stream in &mut self.streams {
            stream.pump(&mut self.interface, &mut self.sockets);
        }
        for socket in &mut self.datagrams {
            socket.pump(&mut self.sockets);
        }
    }

    /// When it has something to do next, if nothing comes.
    pub fn next_due(&mut self, now: Instant) -> Option<Instant> {
        let time = Time::from_micros((now.as_nanos() / 1000) as i64);
        let due = self.interface.poll_at(time, &self.sockets)?;
        Some(Instant::from_nanos(due.total_micros().max(0) as u64 * 1000))
    }

    /// Opens a connection to `remote`.
    pub fn connect(&mut self, remote: SocketAddrV4) -> TcpHandle {
        let local = self.fresh_port();
        let stream = Stream::connect(&mut self.sockets, remote, local);
        self.add(stream)
    }

    /// Waits for one connection to `port`.
    pub fn listen(&mut self, port: u16) -> TcpHandle {
        let stream = Stream::listen(&mut self.sockets, port);
        self.add(stream)
    }

    /// A UDP socket at `port`, or at a port of the host's choice for 0.
    pub fn bind(&mut self, port: u16) -> DatagramSocket {
        let port = if port == 0 { self.fresh_port() } else { port };
        self.datagrams.push(Datagrams::bind(&mut self.sockets, port));
        DatagramSocket(self.datagrams.len() - 1)
    }

    /// A connection.
    pub fn stream(&mut self, handle: TcpHandle) -> &mut Stream {
        &mut self.streams[handle.0]
    }

    /// A UDP socket.
    pub fn datagrams(&mut self, socket: DatagramSocket) -> &mut Datagrams {
        &mut self.datagrams[socket.0]
    }

    fn add(&mut self, stream: Stream) -> TcpHandle {
        self.streams.push(stream);
        TcpHandle(self.streams.len() - 1)
    }

    fn fresh_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        port
    }
}
