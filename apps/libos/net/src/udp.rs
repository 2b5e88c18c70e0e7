//! UDP sockets. Receiving bypasses the stack's context altogether: the frame goes from the
//! demultiplexer's queue straight to the application's handler, which reads it in place.

use crate::checksum::Sum;
use crate::device::emit_ethernet;
use crate::group::UdpSettings;
use crate::neighbour::Answer;
use crate::outbox::{Outbox, Outgoing, Place};
use crate::packet::{self, ADDRESSES, ETHERNET, UDP};
use crate::port::Page;
use crate::queue::Queue;
use crate::shared::{Owner, Shared};
use crate::wait::Waiter;
use crate::{Error, Net, Stack, Transport, UdpService};
use alloc::boxed::Box;
use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::Range;
use reflex_event::{Accumulation, Borrowed, Context, EventId, Kernel, Priority, Registration};
use reflex_hil::Frame;
use reflex_memory::Pool;

/// Most datagrams handed over, or sent, in one run.
const BATCH: u32 = 16;
/// Bytes in front of a datagram's payload: IPv4 and UDP headers.
const HEADERS: usize = 28;
/// Most bytes copied to or from a send queue in one section.
const PIECE: usize = 256;

pub(crate) struct UdpRecord {
    pub(crate) queue: Queue,
    pub(crate) receive_event: Option<EventId>,
    pub(crate) send_event: Option<EventId>,
    pub(crate) outbox: Outbox<&'static mut [u8]>,
    pub(crate) priority: Priority,
    /// In one of the stack's waiting lists, and the one behind it there.
    pub(crate) waiting: bool,
    pub(crate) next_waiting: Option<Waiter>,
    /// The context that serves it, and in which of its lives.
    pub(crate) owner: Owner,
    pub(crate) port: u16,
    /// The owner has been given up.
    pub(crate) orphaned: bool,
}

impl UdpRecord {
    /// With room for so many received frames, and `buffer` for datagrams to be sent.
    pub(crate) fn new(
        owner: Owner,
        port: u16,
        priority: Priority,
        frames: u16,
        buffer: &'static mut [u8],
    ) -> Self {
        Self {
            queue: Queue::new(frames),
            receive_event: None,
            send_event: None,
            outbox: Outbox::new(buffer),
            priority,
            waiting: false,
            next_waiting: None,
            owner,
            port,
            orphaned: false,
        }
    }

    /// Whether it is that owner's: a handle of an earlier life is none of a later one's.
    fn is_of(&self, owner: Owner) -> bool {
        self.owner == owner && !self.orphaned
    }
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The sender.
    pub from: SocketAddrV4,
    /// The address it was sent to: our own, or a broadcast address.
    pub to: SocketAddrV4,
    /// What it says, where the device put it.
    pub payload: &'a [u8],
}

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

    /// The priority of the handler and of sending.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.settings.priority = priority;
        self
    }

    /// Received datagrams that may wait for the handler, 32 unless said otherwise, and bytes of
    /// the send queue, 16 KiB unless said otherwise.
    pub fn buffers(mut self, datagrams: u16, send: usize) -> Self {
        (self.settings.receive_queue, self.settings.send_buffer) = (datagrams, send);
        self
    }

    /// Opens the port: its datagrams are served by the state of `context`.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::BadParameter`], [`Error::NotStarted`],
    /// [`Error::OutOfMemory`], [`Error::Event`].
    pub fn serve<S: UdpService<K>>(
        self,
        context: impl Into<Context<S>>,
    ) -> Result<UdpSocket<K>, Error> {
        let context = context.into();
        let kernel = self.net.kernel().clone();
        kernel.guarded(|| self.open(context))
    }

    fn open<S: UdpService<K>>(self, context: Context<S>) -> Result<UdpSocket<K>, Error> {
        let Self { net, port, settings } = self;
        if port == 0 || settings.receive_queue == 0 || settings.send_buffer == 0 {
            return Err(Error::BadParameter);
        }
        let stack = net.stack()?;
        let kernel = net.kernel();
        kernel.permit(context.id(), "udp")?;
        let owner = net.owner(context.id())?;
        kernel.on_end(context.id(), net.bereaved()?)?;
        if let Some(before) = net.with(|shared| shared.udp_ports.get(port)) {
            // It is free if its owner has been given up, and the stack has not noticed yet.
            net.look_after_socket(before);
            if net.with(|shared| shared.udp_ports.get(port)).is_some() {
                return Err(Error::PortInUse);
            }
        }
        let index = match net.adopt_socket(owner, port, settings)? {
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
        let handle = socket.clone();
        let receiver = move |service: &mut S, _| handle.hand_datagrams(service);
        let receive_event = kernel.register(context, registration, receiver)?;
        net.with(|shared| {
            let record = &mut shared.sockets[index as usize];
            record.send_event = Some(send_event);
            record.receive_event = Some(receive_event);
        });
        net.announce(Transport::Udp, port);
        Ok(socket)
    }
}

/// An open UDP port.
pub struct UdpSocket<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) index: u32,
    port: u16,
    /// The context that serves it, in the life in which it was opened.
    owner: Owner,
}

impl<K: Kernel> Clone for UdpSocket<K> {
    fn clone(&self) -> Self {
        Self { net: self.net.clone(), index: self.index, port: self.port, owner: self.owner }
    }
}

impl<K: Kernel> UdpSocket<K> {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Queues a datagram to `to`. Constant time, but for the bytes copied.
    ///
    /// # Errors
    /// [`Error::Closed`] when the context that served it has been given up.
    /// [`Error::QueueFull`]: send again when an answer has come, or later.
    /// [`Error::TooLong`], [`Error::BadDestination`], [`Error::NoAddress`].
    pub fn send_to(&self, payload: &[u8], to: SocketAddrV4) -> Result<(), Error> {
        let address = *to.ip();
        if to.port() == 0 || address.is_unspecified() || address.is_multicast() {
            return Err(Error::BadDestination);
        }
        let event = if payload.len() <= PIECE {
            self.net.with(|shared| {
                let place = self.reserve(shared, address, payload.len())?;
                Ok::<_, Error>(self.complete(shared, place, payload, 0, to.port()))
            })?
        } else {
            // A context that is given up in the midst of it would leave a datagram that never goes.
            self.net.kernel().guarded(|| self.send_pieces(payload, to))?
        };
        if let Some(event) = event {
            self.net.activate(event);
        }
        Ok(())
    }

    fn send_pieces(&self, payload: &[u8], to: SocketAddrV4) -> Result<Option<EventId>, Error> {
        let place = self.net.with(|shared| self.reserve(shared, *to.ip(), payload.len()))?;
        let (first, last) = payload.split_at((payload.len() - 1) / PIECE * PIECE);
        for (number, piece) in first.chunks(PIECE).enumerate() {
            self.net.with(|shared| {
                shared.sockets[self.index as usize].outbox.write(place, number * PIECE, piece);
            });
        }
        Ok(self.net.with(|shared| self.complete(shared, place, last, first.len(), to.port())))
    }

    /// Takes a place in the send queue.
    fn reserve(&self, shared: &mut Shared<K>, to: Ipv4Addr, length: usize) -> Result<Place, Error> {
        if !shared.sockets[self.index as usize].is_of(self.owner) {
            return Err(Error::Closed);
        }
        shared.address.ok_or(Error::NoAddress)?;
        if length + HEADERS > shared.mtu {
            return Err(Error::TooLong);
        }
        let record = &mut shared.sockets[self.index as usize];
        record.outbox.reserve(to, length).ok_or(Error::QueueFull)
    }

    /// Writes the last piece of a datagram, and lets it go: the event to activate.
    fn complete(
        &self,
        shared: &mut Shared<K>,
        place: Place,
        piece: &[u8],
        from: usize,
        port: u16,
    ) -> Option<EventId> {
        let record = &mut shared.sockets[self.index as usize];
        record.outbox.write(place, from, piece);
        record.outbox.complete(place, port);
        record.send_event
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

    /// Looks at what is kept of the socket, which is another's when its owner has been given up.
    pub(crate) fn record<R>(&self, look: impl FnOnce(&mut UdpRecord) -> R) -> Result<R, Error> {
        self.net.with(|shared| {
            let record = &mut shared.sockets[self.index as usize];
            if record.is_of(self.owner) { Ok(look(record)) } else { Err(Error::Closed) }
        })
    }
}

impl<K: Kernel> UdpSocket<K> {
    /// Hands the oldest datagram to `service`; false when there is none.
    fn hand_datagram<S: UdpService<K>>(&self, service: &mut S) -> bool {
        let ends = Cell::new(None);
        let take = || {
            let frame = self.net.with(|shared| {
                let record = &mut shared.sockets[self.index as usize];
                let own = record.is_of(self.owner);
                if own { shared.frames.pop(&mut record.queue) } else { None }
            });
            let frame = frame.ok_or(false)?;
            let Some(Layout { from, to, payload }) = layout(&frame) else {
                self.net.with(|shared| shared.counters.bad_checksum += 1);
                return Err(true);
            };
            ends.set(Some((from, to)));
            Ok(Held { net: self.net.clone(), frame, payload })
        };
        let work = |payload: &[u8]| {
            if let Some((from, to)) = ends.get() {
                service.datagram(self, Datagram { from, to, payload });
            }
        };
        self.net.kernel().keep(take, Held::payload, Held::give_up, work, |_, ()| true)
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
    fn adopt_socket(
        &self,
        owner: Owner,
        port: u16,
        settings: UdpSettings,
    ) -> Result<Option<u32>, Error> {
        let mut page = self.page(|shared| &shared.udp_ports, port);
        for index in 0..self.with(|shared| shared.sockets.len()) as u32 {
            // A section each.
            let adopted =
                self.with(|shared| shared.adopt_socket(index, owner, (port, &mut page), settings));
            if adopted? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

impl<K: Kernel> Shared<K> {
    fn socket_queue(&self, settings: UdpSettings) -> u16 {
        let share = u16::try_from(self.share).unwrap_or(u16::MAX);
        settings.receive_queue.min(share.max(1))
    }

    /// Closes a socket of an owner that has been given up.
    pub(crate) fn orphan_socket(&mut self, index: u32, owner: Owner) {
        let orphan = &mut self.sockets[index as usize];
        if orphan.orphaned || orphan.owner != owner {
            return;
        }
        orphan.orphaned = true;
        orphan.receive_event = None;
        orphan.outbox.clear();
        self.levels.remove(orphan.priority);
        self.udp_ports.close(orphan.port, index);
    }

    /// A frame that waits for an owner that has been given up.
    pub(crate) fn take_orphaned(&mut self, index: u32) -> Option<Frame> {
        let socket = &mut self.sockets[index as usize];
        if socket.orphaned { self.frames.pop(&mut socket.queue) } else { None }
    }

    /// Gives a context a socket, if it had it in an earlier life and it fits.
    fn adopt_socket(
        &mut self,
        index: u32,
        owner: Owner,
        (port, page): (u16, &mut Option<Box<Page>>),
        settings: UdpSettings,
    ) -> Result<bool, Error> {
        let limit = self.socket_queue(settings);
        let Some(orphan) = self.sockets.get_mut(index as usize) else { return Ok(false) };
        let fits = orphan.orphaned
            && orphan.owner.context == owner.context
            && orphan.port == port
            && orphan.outbox.size() == settings.send_buffer;
        if !fits {
            return Ok(false);
        }
        if !self.udp_ports.open(port, index, page) {
            return Err(Error::PortInUse);
        }
        self.levels.add(settings.priority);
        (orphan.owner, orphan.orphaned, orphan.priority) = (owner, false, settings.priority);
        orphan.queue.set_limit(limit);
        Ok(true)
    }
}

/// A datagram in the hands of a handler.
struct Held<K: Kernel> {
    net: Net<K>,
    frame: Frame,
    /// Where its payload is.
    payload: Range<usize>,
}

impl<K: Kernel> Held<K> {
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

/// Where in a frame a datagram is, and between which addresses.
struct Layout {
    from: SocketAddrV4,
    to: SocketAddrV4,
    payload: Range<usize>,
}

/// The datagram in a classified frame, if its checksum is right.
fn layout(frame: &Frame) -> Option<Layout> {
    let (packet, payload) = packet::packet(frame)?;
    let header = payload.first_chunk::<8>()?;
    if !packet::is_intact(packet, payload) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let endpoint = |at: usize, port: [u8; 2]| {
        SocketAddrV4::new(Ipv4Addr::from(packet::word(packet, at)), u16::from_be_bytes(port))
    };
    payload.get(8..length)?;
    let begin = ETHERNET + packet.len() - payload.len();
    Some(Layout {
        from: endpoint(ADDRESSES, [header[0], header[1]]),
        to: endpoint(ADDRESSES + 4, [header[2], header[3]]),
        payload: begin + 8..begin + length,
    })
}

impl<K: Kernel> Stack<K> {
    /// Sends queued datagrams of a socket.
    pub(crate) fn datagrams(&mut self, index: u32, port: u16) {
        let now = self.net.kernel().now();
        self.engine.room = self.engine.transmit.available();
        let mut next = self.net.with(|shared| shared.sockets[index as usize].outbox.front());
        let mut left = BATCH;
        while let Some(datagram) = next.filter(|_| left > 0) {
            left -= 1;
            if self.engine.room == 0 {
                return self.starve(Waiter::Datagrams(index));
            }
            match self.engine.hop(u32::from(*datagram.to.ip()), now) {
                Answer::Known(hop, _) => {
                    if self.send_datagram(index, &datagram, port, &hop) {
                        self.engine.tally.datagrams_sent += 1;
                    } else {
                        continue;
                    }
                }
                Answer::Gone => self.engine.tally.unreachable += 1,
                Answer::Pending => {
                    let waiter = Waiter::Datagrams(index);
                    if self.net.with(|shared| shared.wait_for_neighbour(waiter)) {
                        self.retry_later();
                    }
                    next = None;
                    break;
                }
            }
            next = self.net.with(|shared| {
                let outbox = &mut shared.sockets[index as usize].outbox;
                outbox.pop();
                outbox.front()
            });
        }
        self.engine.transmit.flush();
        self.engine.unflushed = None;
        self.settle_accounts();
        if next.is_some()
            && let Some(event) = self.net.with(|shared| shared.sockets[index as usize].send_event)
        {
            self.net.activate(event);
        }
    }

    /// Sends the oldest datagram of a socket: one copy, from the queue into the transmit buffer.
    fn send_datagram(&mut self, index: u32, datagram: &Outgoing, port: u16, hop: &[u8; 6]) -> bool {
        let Self { net, engine, .. } = self;
        let Some(own) = engine.address else { return true };
        let (mac, from) = (engine.mac, SocketAddrV4::new(own.address, port));
        let mut fill = |payload: &mut [u8]| {
            for (number, piece) in payload.chunks_mut(PIECE).enumerate() {
                // Nobody but the stack takes it from the queue, so it stays where it is.
                net.with(|shared| {
                    shared.sockets[index as usize].outbox.read(datagram, number * PIECE, piece);
                });
            }
        };
        engine.send(HEADERS + datagram.length, &mut |frame| {
            emit(frame, (&mac, from), (hop, datagram.to), &mut fill);
        })
    }
}

/// Writes a datagram as a frame.
fn emit(
    frame: &mut [u8],
    (own, from): (&[u8; 6], SocketAddrV4),
    (hop, to): (&[u8; 6], SocketAddrV4),
    fill: &mut dyn FnMut(&mut [u8]),
) {
    let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else { return };
    emit_ethernet(ethernet, hop, own);
    let Some((ip, datagram)) = packet.split_first_chunk_mut::<20>() else { return };
    let total = (20 + datagram.len()) as u16;
    // Don't fragment, and therefore no identification (RFC 6864, 4.1).
    *ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, UDP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    let sum = Sum::ZERO.bytes(&ip[..]).finish();
    ip[10..12].copy_from_slice(&sum);
    let length = total - 20;
    datagram[..2].copy_from_slice(&from.port().to_be_bytes());
    datagram[2..4].copy_from_slice(&to.port().to_be_bytes());
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    datagram[6..8].fill(0);
    fill(&mut datagram[8..]);
    let Some(addresses) = ip[ADDRESSES..].first_chunk::<8>() else { return };
    let sum = Sum::ZERO.bytes(datagram).pseudo_header(addresses, UDP, length).finish();
    // A sum of zero is sent as its other representation (RFC 768).
    let sum = if sum == [0, 0] { [0xff, 0xff] } else { sum };
    datagram[6..8].copy_from_slice(&sum);
}
