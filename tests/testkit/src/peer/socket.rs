//! What the peer's connections and UDP sockets have sent and received.

use core::net::{IpAddr, SocketAddrV4};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::IpAddress;
use std::collections::VecDeque;

/// Bytes of a connection's buffer in either direction.
const BUFFER: usize = 64 << 10;
/// Datagrams, and bytes of them, that a socket holds in either direction.
const DATAGRAMS: usize = 256;
const DATAGRAM_BYTES: usize = 256 << 10;

/// A connection of a peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpHandle(pub(super) usize);

/// A UDP socket of a peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatagramSocket(pub(super) usize);

/// One end of a connection.
pub struct Stream {
    handle: SocketHandle,
    /// Where it is to connect to, and from which port.
    opens: Option<(SocketAddrV4, u16)>,
    /// Bytes that the socket has had no room for.
    unsent: VecDeque<u8>,
    received: Vec<u8>,
    /// What is received is taken out of the socket.
    reads: bool,
    closes: bool,
    aborts: bool,
    was_established: bool,
    state: tcp::State,
    finished: bool,
}

impl Stream {
    fn new(sockets: &mut SocketSet<'static>) -> (Self, SocketHandle) {
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        // Nothing is to wait for a timer that a test has not asked for.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        let handle = sockets.add(socket);
        let stream = Self {
            handle,
            opens: None,
            unsent: VecDeque::new(),
            received: Vec::new(),
            reads: true,
            closes: false,
            aborts: false,
            was_established: false,
            state: tcp::State::Closed,
            finished: false,
        };
        (stream, handle)
    }

    pub(super) fn connect(
        sockets: &mut SocketSet<'static>,
        remote: SocketAddrV4,
        local: u16,
    ) -> Self {
        Self { opens: Some((remote, local)), ..Self::new(sockets).0 }
    }

    pub(super) fn listen(sockets: &mut SocketSet<'static>, port: u16) -> Self {
        let (stream, handle) = Self::new(sockets);
        sockets.get_mut::<tcp::Socket<'_>>(handle).listen(port).expect("a port that is not 0");
        stream
    }

    /// Moves bytes between the socket and what the test has at hand.
    pub(super) fn pump(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'static>) {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        if let Some((remote, local)) = self.opens.take() {
            let remote = (IpAddress::Ipv4(*remote.ip()), remote.port());
            socket.connect(interface.context(), remote, local).expect("a port that is not 0");
        }
        if self.aborts {
            socket.abort();
        }
        while socket.can_send() && !self.unsent.is_empty() {
            let (bytes, _) = self.unsent.as_slices();
            let sent = socket.send_slice(bytes).unwrap_or(0);
            self.unsent.drain(..sent);
        }
        while self.reads && socket.can_recv() {
            let received = &mut self.received;
            let taken = socket.recv(|bytes| {
                received.extend_from_slice(bytes);
                (bytes.len(), ())
            });
            if taken.is_err() {
                break;
            }
        }
        self.state = socket.state();
        self.was_established |= socket.may_send();
        self.finished |= matches!(
            self.state,
            tcp::State::CloseWait
                | tcp::State::LastAck
                | tcp::State::Closing
                | tcp::State::TimeWait
        );
        if self.closes && self.unsent.is_empty() && self.was_established {
            socket.close();
        }
    }

    /// Sends bytes, as the other end takes them.
    pub fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// What has been received.
    pub fn received(&mut self) -> &mut Vec<u8> {
        &mut self.received
    }

    /// Whether what comes is read; what is not fills the window.
    pub fn set_reading(&mut self, reads: bool) {
        self.reads = reads;
    }

    /// Sends no more after what there is.
    pub fn half_close(&mut self) {
        self.closes = true;
    }

    /// Resets the connection.
    pub fn abort(&mut self) {
        self.aborts = true;
    }

    /// Whether both sides may send.
    pub fn is_established(&self) -> bool {
        self.state == tcp::State::Established
    }

    /// Whether there has been a connection.
    pub fn was_established(&self) -> bool {
        self.was_established
    }

    /// Whether the other end has closed its side, and not by a reset.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether there is no connection any more, or was refused.
    pub fn is_over(&self) -> bool {
        let over = matches!(self.state, tcp::State::Closed | tcp::State::TimeWait);
        over && self.opens.is_none()
    }
}

/// One UDP socket.
pub struct Datagrams {
    handle: SocketHandle,
    unsent: VecDeque<(SocketAddrV4, Vec<u8>)>,
    received: Vec<(SocketAddrV4, Vec<u8>)>,
}

impl Datagrams {
    pub(super) fn bind(sockets: &mut SocketSet<'static>, port: u16) -> Self {
        let buffer = || {
            let slots = vec![udp::PacketMetadata::EMPTY; DATAGRAMS];
            udp::PacketBuffer::new(slots, vec![0; DATAGRAM_BYTES])
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a port that is not 0");
        let handle = sockets.add(socket);
        Self { handle, unsent: VecDeque::new(), received: Vec::new() }
    }

    pub(super) fn pump(&mut self, sockets: &mut SocketSet<'static>) {
        let socket = sockets.get_mut::<udp::Socket<'_>>(self.handle);
        while let Some((to, bytes)) = self.unsent.pop_front() {
            let endpoint = (IpAddress::Ipv4(*to.ip()), to.port());
            if socket.send_slice(&bytes, endpoint).is_err() {
                self.unsent.push_front((to, bytes));
                break;
            }
        }
        while let Ok((bytes, from)) = socket.recv() {
            if let IpAddr::V4(address) = from.endpoint.addr.into() {
                let from = SocketAddrV4::new(address, from.endpoint.port);
                self.received.push((from, bytes.to_vec()));
            }
        }
    }

    /// Sends a datagram.
    pub fn send(&mut self, to: SocketAddrV4, bytes: &[u8]) {
        self.unsent.push_back((to, bytes.to_vec()));
    }

    /// The datagrams that have been received, with where they are from.
    pub fn received(&mut self) -> &mut Vec<(SocketAddrV4, Vec<u8>)> {
        &mut self.received
    }
}
