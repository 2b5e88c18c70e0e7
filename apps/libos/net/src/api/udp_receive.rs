//! UDP sockets as they are opened, and datagrams on their way to the handler. Receiving bypasses the stack's
//! context altogether: the frame goes from the demultiplexer's queue straight to the application's handler,
//! which reads it in place.

use crate::api::connector::{TRIES, ephemeral};
use crate::api::service::UdpService;
use crate::api::udp::{Datagram, UdpSocket};
use crate::ip::header::{self, ADDRESSES, ETHERNET};
use crate::ip::icmp::{self, Report};
use crate::path::stack::Stack;
use crate::table::handle::Net;
use crate::table::socket_record::UdpRecord;
use crate::types::error::Error;
use crate::types::settings::{Transport, UdpSettings};
use crate::types::unreachable::Undeliverable;
use alloc::boxed::Box;
use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::Range;
use reflex_event::{Accumulation, Borrowed, Context, Kernel, Owner, Registration};
use reflex_hil::Frame;
use reflex_memory::Pool;

/// Most datagrams handed over in one run: then others of the same priority run.
const BATCH: u32 = 16;

/// How a socket is to behave; [`serve`](Self::serve) opens it.
#[must_use = "the port is not open before `serve`"]
pub struct UdpBuilder<K: Kernel> {
    net: Net<K>,
    port: u16,
    settings: UdpSettings,
}

impl<K: Kernel> UdpBuilder<K> {
    pub(crate) fn new(net: Net<K>, port: u16, settings: UdpSettings) -> Self {
        Self { net, port, settings }
    }

    priority_setting!();
    datagram_settings!();

    /// Takes settings over that were put together elsewhere.
    pub fn with(self, settings: UdpSettings) -> Self {
        Self { settings, ..self }
    }

    /// Opens the port: its datagrams are served by the state of `context`.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::BadParameter`], [`Error::NotStarted`],
    /// [`Error::OutOfMemory`], [`Error::Event`].
    pub fn serve<S: UdpService<K> + 'static>(
        self,
        context: impl Into<Context<S>>,
    ) -> Result<UdpSocket<K>, Error> {
        self.serve_by(context, |socket| move |service: &mut S| socket.hand_datagrams(service))
    }

    /// Opens the port with a handler that `make` makes of the socket's handle; [`UdpSocket::deliver`] hands
    /// it the datagrams.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_by<S: 'static, F>(
        self,
        context: impl Into<Context<S>>,
        make: impl FnOnce(UdpSocket<K>) -> F,
    ) -> Result<UdpSocket<K>, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let context = context.into();
        let kernel = self.net.kernel().clone();
        kernel.guarded(|| self.open(context, make))
    }

    /// Opens the port for sending alone: what arrives there is dropped and counted. Port 0 is any that is free
    /// (RFC 6335, 6).
    ///
    /// # Errors
    /// As [`serve`](Self::serve); [`Error::NoPort`] when no port was found that is free.
    pub fn send_only<S: 'static>(
        self,
        context: impl Into<Context<S>>,
    ) -> Result<UdpSocket<K>, Error> {
        let context = context.into();
        let drop_all = |socket: UdpSocket<K>| move |_: &mut S| socket.drop_datagrams();
        if self.port != 0 {
            return self.serve_by(context, drop_all);
        }
        let Self { net, settings, .. } = self;
        let mut random = [0; 2];
        net.kernel().random(&mut random);
        let start = u16::from_ne_bytes(random);
        for offset in 0..TRIES {
            let port = ephemeral(start.wrapping_add(offset));
            let opened =
                UdpBuilder { net: net.clone(), port, settings }.serve_by(context, drop_all);
            match opened {
                Err(Error::PortInUse) => {}
                opened => return opened,
            }
        }
        Err(Error::NoPort)
    }

    fn open<S: 'static, F>(
        self,
        context: Context<S>,
        make: impl FnOnce(UdpSocket<K>) -> F,
    ) -> Result<UdpSocket<K>, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let Self { net, port, settings } = self;
        if port == 0 || settings.receive_queue == 0 || settings.send_buffer == 0 {
            return Err(Error::BadParameter);
        }
        let stack = net.stack()?;
        let kernel = net.kernel();
        kernel.permit(context.id(), "udp")?;
        let owner = net.owner(context.id())?;
        kernel.on_end(context.id(), net.owner_gone()?)?;
        if let Some(before) = net.with(|shared| shared.udp_ports.get(port)) {
            // It is free if its owner has been given up, and the stack has not noticed yet.
            net.check_socket_owner(before);
            if net.with(|shared| shared.udp_ports.get(port)).is_some() {
                return Err(Error::PortInUse);
            }
        }
        let index = match net.reclaim_socket(owner, port, settings)? {
            Some(index) => index,
            None => net.make_socket(owner, port, settings, kernel.pool(context)?)?,
        };
        net.follow_priorities();
        let socket = UdpSocket { net: net.clone(), index, port, owner };
        let registration =
            Registration { priority: settings.priority, accumulation: Accumulation::Count };
        let send_event = match net.with(|shared| shared.sockets[index as usize].send_event) {
            Some(event) => {
                kernel.set_priority(event, settings.priority)?;
                event
            }
            None => {
                let sender = move |stack: &mut Stack<K>, _| stack.datagrams(index, port);
                kernel.register(stack, registration, sender)?
            }
        };
        let receiver = make(socket.clone());
        let receive_event =
            kernel.register(context, registration, move |service: &mut S, _| receiver(service))?;
        net.with(|shared| {
            let record = &mut shared.sockets[index as usize];
            record.send_event = Some(send_event);
            record.receive_event = Some(receive_event);
        });
        net.announce(Transport::Udp, port);
        Ok(socket)
    }
}

impl<K: Kernel> UdpSocket<K> {
    /// Drops queued datagrams, which nobody wants.
    fn drop_datagrams(&self) {
        loop {
            let frame = self.net.with(|shared| {
                let record = &mut shared.sockets[self.index as usize];
                let own = record.is_of(self.owner);
                let frame = if own { shared.frames.pop(&mut record.queue) } else { None };
                shared.counters.unwanted += u64::from(frame.is_some());
                frame
            });
            if frame.is_none() {
                return;
            }
        }
    }

    /// Hands queued datagrams to `service`.
    pub(crate) fn hand_datagrams<S: UdpService<K>>(&self, service: &mut S) {
        for _ in 0..BATCH {
            if !self.hand_datagram(service) {
                return;
            }
        }
        let more = self.record(|record| record.receive_event.filter(|_| !record.queue.is_empty()));
        if let Ok(Some(event)) = more {
            self.net.activate(event);
        }
    }

    /// Hands the oldest datagram to `service`; false when there is none.
    fn hand_datagram<S: UdpService<K>>(&self, service: &mut S) -> bool {
        let told = Cell::new(None);
        let take = || {
            let frame = self.net.with(|shared| {
                let record = &mut shared.sockets[self.index as usize];
                let own = record.is_of(self.owner);
                if own { shared.frames.pop(&mut record.queue) } else { None }
            });
            let frame = frame.ok_or(false)?;
            let Some((news, payload)) = news(&frame) else {
                self.net.with(|shared| shared.counters.bad_checksum += 1);
                return Err(true);
            };
            told.set(Some(news));
            Ok(HeldDatagram { net: self.net.clone(), frame, payload })
        };
        let work = |payload: &[u8]| match told.get() {
            Some(News::Datagram { from, to }) => {
                service.datagram(self, Datagram { from, to, payload });
            }
            Some(News::Undeliverable(what)) => service.undeliverable(self, what),
            None => {}
        };
        self.net
            .kernel()
            .keep(take, HeldDatagram::payload, HeldDatagram::give_up, work, |_, ()| true)
    }
}

impl<K: Kernel> Net<K> {
    /// Makes a socket on a port that is free.
    fn make_socket(
        &self,
        owner: Owner,
        port: u16,
        settings: UdpSettings,
        pool: &'static Pool,
    ) -> Result<u32, Error> {
        let buffer = pool.bytes(settings.send_buffer).map_err(|_| Error::OutOfMemory)?;
        let frames = self.with(|shared| shared.socket_queue(settings));
        let record = UdpRecord::new(owner, port, settings.priority, frames, buffer.leak());
        self.add_socket(port, Box::new(record))
    }

    /// Gives a context a socket that it had in an earlier life, if one fits. A cold path.
    fn reclaim_socket(
        &self,
        owner: Owner,
        port: u16,
        settings: UdpSettings,
    ) -> Result<Option<u32>, Error> {
        let mut page = self.page(|shared| &shared.udp_ports, port);
        for index in 0..self.with(|shared| shared.sockets.len()) as u32 {
            // A section each.
            let reclaimed = self
                .with(|shared| shared.reclaim_socket(index, owner, (port, &mut page), settings));
            if reclaimed? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

/// A datagram in the hands of a handler.
struct HeldDatagram<K: Kernel> {
    net: Net<K>,
    frame: Frame,
    /// Where its payload is.
    payload: Range<usize>,
}

impl<K: Kernel> HeldDatagram<K> {
    fn payload(&mut self) -> &[u8] {
        self.frame.get(self.payload.clone()).unwrap_or(&[])
    }

    /// The handler does not go on. The frame's buffer is the device's again, unless it is not to be
    /// written to.
    fn give_up(self, borrowed: Borrowed) {
        match borrowed {
            Borrowed::Reusable => drop(self.frame),
            Borrowed::Quarantined => self.net.retire_frame(self.frame),
        }
    }
}

/// What a socket's owner is told of.
#[derive(Clone, Copy)]
enum News {
    /// A datagram between these addresses.
    Datagram { from: SocketAddrV4, to: SocketAddrV4 },
    /// An ICMP error.
    Undeliverable(Undeliverable),
}

/// What a classified frame tells, and where its payload is, if its checksum is right.
fn news(frame: &Frame) -> Option<(News, Range<usize>)> {
    if let Some(Report { why, remote, remote_port, .. }) = icmp::report(frame) {
        let to = SocketAddrV4::new(Ipv4Addr::from(remote), remote_port);
        return Some((News::Undeliverable(Undeliverable { to, why }), 0..0));
    }
    let (packet, payload) = header::packet(frame)?;
    let header = payload.first_chunk::<8>()?;
    if !header::is_intact(packet, payload) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let endpoint = |at: usize, port: [u8; 2]| {
        SocketAddrV4::new(Ipv4Addr::from(header::word(packet, at)), u16::from_be_bytes(port))
    };
    payload.get(8..length)?;
    let begin = ETHERNET + packet.len() - payload.len();
    let from = endpoint(ADDRESSES, [header[0], header[1]]);
    let to = endpoint(ADDRESSES + 4, [header[2], header[3]]);
    Some((News::Datagram { from, to }, begin + 8..begin + length))
}
