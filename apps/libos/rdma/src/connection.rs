//! Connections, as applications have them: listening, connecting, and what happens to them.

use crate::command::Command;
use crate::front::Listening;
use crate::{Error, QueuePair, Rdma};
use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use reflex_event::Kernel;
use reflex_rdma_wire::Transport;
use reflex_rdma_wire::cm::{PortSpace, RejectReason, ServiceId};

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

/// What can happen to a connection.
///
/// ```text
///  connect -> Connected | Rejected | Failed       Connected -> Disconnected
///  Requested -> (accept) -> Connected | Rejected | Failed
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
    /// It did not come about: the peer did not answer, or the queue pair was not fit for it.
    Failed,
    /// It has ended: what is in flight completes as flushed.
    Disconnected,
}

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
    channel: u16,
}

impl<K: Kernel> Clone for ConnectionManager<K> {
    fn clone(&self) -> Self {
        Self::new(self.rdma.clone(), self.channel)
    }
}

impl<K: Kernel> ConnectionManager<K> {
    pub(crate) fn new(rdma: Rdma<K>, channel: u16) -> Self {
        Self { rdma, channel }
    }

    /// Listens on a port for reliable connections (`RDMA_PS_TCP`), or for unreliable ones
    /// (`RDMA_PS_IB`); `backlog` requests may wait at a time.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::LimitReached`], [`Error::BadParameter`], and
    /// [`Error::Unsupported`] for datagrams.
    pub fn listen(&self, transport: Transport, port: u16, backlog: u16) -> Result<(), Error> {
        if port == 0 || backlog == 0 {
            return Err(Error::BadParameter);
        }
        let service = service(transport, port)?;
        let channel = self.channel;
        self.rdma.0.with(|shared| {
            if shared.listening.iter().any(|it| it.service == service) {
                return Err(Error::PortInUse);
            }
            if shared.listening.len() == shared.listening.capacity() {
                return Err(Error::LimitReached);
            }
            shared.listening.push(Listening { service, channel });
            Ok(())
        })?;
        self.rdma.0.command(Command::Listen { transport, service, channel, backlog })
    }

    /// Listens no longer. Connections stay; requests that wait can still be answered.
    ///
    /// # Errors
    /// [`Error::Gone`] when this does not listen there.
    pub fn close(&self, transport: Transport, port: u16) -> Result<(), Error> {
        let own = Listening { service: service(transport, port)?, channel: self.channel };
        self.rdma.0.with(|shared| {
            let place = shared.listening.iter().position(|it| *it == own);
            shared.listening.swap_remove(place.ok_or(Error::Gone)?);
            Ok::<_, Error>(())
        })?;
        self.rdma.0.command(Command::Close { service: own.service })
    }

    /// Connects a queue pair to a port of a peer's. What becomes of it is told.
    ///
    /// # Errors
    /// [`Error::NoAddress`], [`Error::QueueFull`].
    pub fn connect(
        &self,
        pair: &QueuePair<K>,
        to: (IpAddr, u16),
        connect: Connect,
    ) -> Result<Connection<K>, Error> {
        self.rdma.0.local(to.0).ok_or(Error::NoAddress)?;
        let name = self.rdma.0.with(|shared| {
            shared.names = shared.names.wrapping_add(1);
            shared.names
        });
        let (pair, channel, connect) = (pair.number, self.channel, Box::new(connect));
        self.rdma.0.command(Command::Connect { pair, channel, name, to, connect })?;
        Ok(Connection { rdma: self.rdma.clone(), name })
    }

    /// Tells what has happened. A run of the handler's registration.
    pub(crate) fn hand_events(&self, mut handle: impl FnMut(ConnectionEvent<K>)) {
        for left in (0..BATCH).rev() {
            let (next, again) = self.rdma.0.with(|shared| {
                let channel = shared.channels.get_mut(usize::from(self.channel));
                let Some(channel) = channel.and_then(Option::as_mut) else { return (None, None) };
                let next = channel.queue.pop_front();
                channel.armed = channel.queue.is_empty();
                (next, channel.event.filter(|_| left == 0 && !channel.armed))
            });
            if let Some(Occurred { name, what }) = next {
                let connection = Connection { rdma: self.rdma.clone(), name };
                handle(ConnectionEvent { connection, what });
            }
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
    /// [`Error::QueueFull`] when the port has too much to do.
    pub fn accept(&self, pair: &QueuePair<K>, accept: Accept) -> Result<(), Error> {
        let (name, pair, accept) = (self.name, pair.number, Box::new(accept));
        self.rdma.0.command(Command::Accept { name, pair, accept })
    }

    /// Rejects it, with at most 148 bytes for the peer's application.
    ///
    /// # Errors
    /// [`Error::PrivateData`], [`Error::QueueFull`].
    pub fn reject(&self, data: &[u8]) -> Result<(), Error> {
        let (name, reason) = (self.name, RejectReason::CONSUMER);
        let data = PrivateData::new(data, 148)?;
        self.rdma.0.command(Command::Reject { name, reason, data: Box::new(data) })
    }

    /// Ends it: what is in flight completes as flushed.
    ///
    /// # Errors
    /// [`Error::QueueFull`].
    pub fn disconnect(&self) -> Result<(), Error> {
        self.rdma.0.command(Command::Disconnect { name: self.name })
    }
}
