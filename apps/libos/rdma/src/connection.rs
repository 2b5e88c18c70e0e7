//! Connections, as applications have them: listening, connecting, and what happens to them.

use crate::command::Command;
use crate::front::{Listening, Phase, Shared};
use crate::table::Name;
use crate::{Error, QueuePair, Rdma};
use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use reflex_event::Kernel;
use reflex_rdma_wire::cm::{PortSpace, RejectReason, ServiceId};
use reflex_rdma_wire::{Qpn, Transport};

/// By what name a port is asked for.
pub(crate) fn service(transport: Transport, port: u16) -> Result<ServiceId, Error> {
    let space = match transport {
        Transport::Reliable => PortSpace::Tcp,
        Transport::Unreliable => PortSpace::Any,
        Transport::Datagram => return Err(Error::Unsupported),
    };
    Ok(ServiceId::ip(space, port))
}

/// Most events told in one run: then others of the same priority have their turn.
const BATCH: u32 = 8;

/// What one side's application tells the other's with a connection message. Zeros follow what was
/// said, up to the length of the message's field (IBA volume 1, 12.6).
#[derive(Clone, Copy)]
pub struct PrivateData {
    bytes: [u8; Self::MOST],
    length: u8,
}

impl PrivateData {
    /// The longest there is.
    pub const MOST: usize = 224;

    /// Of these bytes.
    ///
    /// # Errors
    /// [`Error::PrivateData`] when they are more than `most`.
    pub(crate) fn new(data: &[u8], most: usize) -> Result<Self, Error> {
        if data.len() > most.min(Self::MOST) {
            return Err(Error::PrivateData);
        }
        let mut bytes = [0; Self::MOST];
        bytes[..data.len()].copy_from_slice(data);
        Ok(Self { bytes, length: data.len() as u8 })
    }

    /// As much of what came as there is room for, which is all.
    pub(crate) fn received(data: &[u8]) -> Self {
        let data = data.get(..Self::MOST).unwrap_or(data);
        let mut bytes = [0; Self::MOST];
        bytes[..data.len()].copy_from_slice(data);
        Self { bytes, length: data.len() as u8 }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for PrivateData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateData({})", self.as_bytes().escape_ascii())
    }
}

/// What has happened to a connection, on its way.
pub(crate) struct Occurred {
    pub(crate) name: u32,
    pub(crate) what: Happening,
}

/// Why a connection did not come about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// The peer did not answer.
    Unanswered,
    /// The peer uses its queue pair for another connection.
    Stale,
    /// The interface has no address on the peer's network any more.
    NoAddress,
    /// The queue pair is gone, has failed, or is of another transport than was asked for.
    QueuePair,
    /// The port has as many connections as it was made for.
    LimitReached,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unanswered => "the peer does not answer",
            Self::Stale => "the peer's queue pair is in another connection",
            Self::NoAddress => "the interface has no address on the peer's network",
            Self::QueuePair => "the queue pair is not fit for the connection",
            Self::LimitReached => "the port has no place for another connection",
        })
    }
}

/// What can happen to a connection. Each ends with one of `Rejected`, `Failed` and `Disconnected`, but
/// one that was rejected here, of which nothing more is told.
///
/// ```text
///  connect -> Connected | Rejected | Failed | Disconnected       Connected -> Disconnected
///  Requested -> (accept) -> Connected | Rejected | Failed | Disconnected
///           `-> (reject)
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    /// A peer asks for one: it is to be accepted or rejected.
    Requested {
        /// The transport that it is to have.
        transport: Transport,
        /// The port that it asks for.
        port: u16,
        /// Who asks, and from which port, as it says itself.
        from: Option<(IpAddr, u16)>,
        /// What its application says.
        data: PrivateData,
    },
    /// It stands: sends may be posted.
    Connected {
        /// What the peer's application says.
        data: PrivateData,
    },
    /// The peer refused, or gave up.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// What its application says.
        data: PrivateData,
    },
    /// It did not come about.
    Failed {
        /// Why.
        why: Failure,
    },
    /// It has ended: what is in flight completes as flushed.
    Disconnected,
}

impl Happening {
    /// Whether nothing more happens to the connection.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Failed { .. } | Self::Disconnected)
    }
}

/// Events that are told at most of a connection that is asked for here: that it stands, and that it
/// has ended.
pub(crate) const ASKED: usize = 2;
/// And of one that is requested, as above.
pub(crate) const REQUESTED: usize = 3;

/// Something has happened to a connection.
pub struct ConnectionEvent<K: Kernel> {
    /// Which.
    pub connection: Connection<K>,
    /// What.
    pub what: Happening,
}

/// A connection's name. It can be kept and copied anywhere; when the connection is over, what is
/// asked of it has no effect.
pub struct Connection<K: Kernel> {
    rdma: Rdma<K>,
    name: u32,
}

impl<K: Kernel> Clone for Connection<K> {
    fn clone(&self) -> Self {
        Self { rdma: self.rdma.clone(), name: self.name }
    }
}

impl<K: Kernel> PartialEq for Connection<K> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<K: Kernel> Eq for Connection<K> {}

impl<K: Kernel> fmt::Debug for Connection<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.name)
    }
}

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub struct Accept {
    pub(crate) data: PrivateData,
    pub(crate) reads: u8,
    pub(crate) rnr_retries: u8,
}

impl Accept {
    /// With nothing to say.
    pub fn new() -> Self {
        Self { data: PrivateData::received(&[]), reads: 16, rnr_retries: 7 }
    }

    /// For the peer's application, at most 196 bytes.
    ///
    /// # Errors
    /// [`Error::PrivateData`].
    pub fn data(mut self, data: &[u8]) -> Result<Self, Error> {
        self.data = PrivateData::new(data, 196)?;
        Ok(self)
    }

    /// Reads and atomics that may be outstanding each way, at most 16, and no more than the peer
    /// asked for.
    pub fn reads(mut self, reads: u8) -> Self {
        self.reads = reads.min(16);
        self
    }

    /// How often the peer is to try again when this side has no receive, at most 7, which is for
    /// ever.
    pub fn rnr_retries(mut self, retries: u8) -> Self {
        self.rnr_retries = retries.min(7);
        self
    }
}

impl Default for Accept {
    fn default() -> Self {
        Self::new()
    }
}

/// How a connection is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Connect {
    pub(crate) data: PrivateData,
    pub(crate) reads: u8,
    pub(crate) retries: u8,
    pub(crate) rnr_retries: u8,
}

impl Connect {
    /// With nothing to say.
    pub fn new() -> Self {
        Self { data: PrivateData::received(&[]), reads: 16, retries: 7, rnr_retries: 7 }
    }

    /// For the peer's application, at most 56 bytes.
    ///
    /// # Errors
    /// [`Error::PrivateData`].
    pub fn data(mut self, data: &[u8]) -> Result<Self, Error> {
        self.data = PrivateData::new(data, 56)?;
        Ok(self)
    }

    /// Reads and atomics that may be outstanding each way, at most 16.
    pub fn reads(mut self, reads: u8) -> Self {
        self.reads = reads.min(16);
        self
    }

    /// How often both sides try again without an acknowledge, and how often the peer does when this
    /// side has no receive: at most 7, which is for ever for the latter.
    pub fn retries(mut self, acknowledge: u8, not_ready: u8) -> Self {
        (self.retries, self.rnr_retries) = (acknowledge.min(7), not_ready.min(7));
        self
    }
}

impl Default for Connect {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes connections, and has its context's handler told of all that happens to them. Copies are of
/// the same.
pub struct ConnectionManager<K: Kernel> {
    rdma: Rdma<K>,
    channel: Name,
}

impl<K: Kernel> Clone for ConnectionManager<K> {
    fn clone(&self) -> Self {
        Self::new(self.rdma.clone(), self.channel)
    }
}

impl<K: Kernel> ConnectionManager<K> {
    pub(crate) fn new(rdma: Rdma<K>, channel: Name) -> Self {
        Self { rdma, channel }
    }

    /// Listens on a port for reliable connections (`RDMA_PS_TCP`), or for unreliable ones
    /// (`RDMA_PS_IB`); `backlog` requests may wait at a time. All backlogs of a port add up to less
    /// than its [connections](crate::Limits::connections), so that no flood of requests takes all.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::LimitReached`], [`Error::BadParameter`], [`Error::Gone`],
    /// [`Error::QueueFull`], and [`Error::Unsupported`] for datagrams.
    pub fn listen(&self, transport: Transport, port: u16, backlog: u16) -> Result<(), Error> {
        if port == 0 || backlog == 0 {
            return Err(Error::BadParameter);
        }
        let service = service(transport, port)?;
        let (channel, limits) = (self.channel, self.rdma.0.limits);
        self.rdma.0.command(|shared| {
            shared.channels.get(channel).ok_or(Error::Gone)?;
            let listening = &mut shared.listening;
            if listening.iter().any(|it| it.service == service) {
                return Err(Error::PortInUse);
            }
            let taken: u32 = listening.iter().map(|it| u32::from(it.backlog)).sum();
            if listening.len() == usize::from(limits.queues)
                || taken + u32::from(backlog) >= limits.connections
            {
                return Err(Error::LimitReached);
            }
            listening.push(Listening { service, channel, backlog });
            Ok(Command::Listen { transport, service, channel, backlog })
        })
    }

    /// Listens no longer. Connections stay; requests that wait can still be answered.
    ///
    /// # Errors
    /// [`Error::Gone`] when this does not listen there, [`Error::QueueFull`].
    pub fn close(&self, transport: Transport, port: u16) -> Result<(), Error> {
        let service = service(transport, port)?;
        let own = |it: &Listening| it.service == service && it.channel == self.channel;
        self.rdma.0.command(|shared| {
            let place = shared.listening.iter().position(own).ok_or(Error::Gone)?;
            shared.listening.swap_remove(place);
            Ok(Command::Close { service })
        })
    }

    /// Connects a queue pair to a port of a peer's. What becomes of it is told.
    ///
    /// # Errors
    /// [`Error::NoAddress`], [`Error::QueueFull`], [`Error::Unsupported`] for datagrams,
    /// [`Error::NotReady`] when the queue pair has a peer or has failed, [`Error::Gone`];
    /// [`Error::LimitReached`] when too many events wait for their handler.
    pub fn connect(
        &self,
        pair: &QueuePair<K>,
        to: (IpAddr, u16),
        connect: Connect,
    ) -> Result<Connection<K>, Error> {
        let inner = &self.rdma.0;
        service(pair.transport, to.1)?;
        inner.local(to.0).ok_or(Error::NoAddress)?;
        let (pair, channel, connect) = (pair.number, self.channel, Box::new(connect));
        let mut named = 0;
        inner.command(|shared| {
            fresh(shared, pair)?;
            let promised = shared.channels.get_mut(channel).ok_or(Error::Gone)?.promise(ASKED);
            if !promised {
                return Err(Error::LimitReached);
            }
            shared.pair(pair)?.phase = Phase::Connecting;
            let name = shared.name_connection();
            named = name;
            Ok(Command::Connect { pair, channel, name, to, connect })
        })?;
        Ok(Connection { rdma: self.rdma.clone(), name: named })
    }

    /// Tells what has happened. A run of the handler's registration.
    pub(crate) fn hand_events(&self, mut handle: impl FnMut(ConnectionEvent<K>)) {
        for left in (0..BATCH).rev() {
            let (next, again) = self.rdma.0.with(|shared| {
                let Some(channel) = shared.channels.get_mut(self.channel) else {
                    return (None, None);
                };
                let next = channel.queue.pop_front();
                channel.armed = channel.queue.is_empty();
                (next, channel.event.filter(|_| left == 0 && !channel.armed))
            });
            let Some(Occurred { name, what }) = next else { return };
            let connection = Connection { rdma: self.rdma.clone(), name };
            handle(ConnectionEvent { connection, what });
            if let Some(event) = again {
                self.rdma.0.activate(event);
            }
        }
    }
}

impl<K: Kernel> Connection<K> {
    /// Accepts it, for that queue pair, which takes no packet before: post receives first.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when the port has too much to do, [`Error::NotReady`] when the queue pair
    /// has a peer or has failed, [`Error::Gone`].
    pub fn accept(&self, pair: &QueuePair<K>, accept: Accept) -> Result<(), Error> {
        let (name, pair, accept) = (self.name, pair.number, Box::new(accept));
        self.rdma.0.command(|shared| {
            fresh(shared, pair)?;
            shared.pair(pair)?.phase = Phase::Connecting;
            Ok(Command::Accept { name, pair, accept })
        })
    }

    /// Rejects it, with at most 148 bytes for the peer's application.
    ///
    /// # Errors
    /// [`Error::PrivateData`], [`Error::QueueFull`].
    pub fn reject(&self, data: &[u8]) -> Result<(), Error> {
        let (name, reason) = (self.name, RejectReason::CONSUMER);
        let data = PrivateData::new(data, 148)?;
        let data = Box::new(data);
        self.rdma.0.command(|_| Ok(Command::Reject { name, reason, data }))
    }

    /// Ends it: what is in flight completes as flushed.
    ///
    /// # Errors
    /// [`Error::QueueFull`].
    pub fn disconnect(&self) -> Result<(), Error> {
        self.rdma.0.command(|_| Ok(Command::Disconnect { name: self.name }))
    }
}

/// # Errors
/// [`Error::NotReady`] when a queue pair has a peer, is about to have one, or has failed.
fn fresh(shared: &mut Shared, pair: Qpn) -> Result<(), Error> {
    match shared.pair(pair)?.phase {
        Phase::Fresh => Ok(()),
        _ => Err(Error::NotReady),
    }
}

impl Shared {
    /// A name for a connection.
    pub(crate) fn name_connection(&mut self) -> u32 {
        self.names = self.names.wrapping_add(1);
        self.names
    }
}
