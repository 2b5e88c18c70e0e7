//! Connections, as applications have them: listening, connecting, and what happens to them.

use crate::command::Command;
use crate::connection_event::{ASKED, ConnectionChange, Occurred};
use crate::connection_options::{Accept, Connect, service};
use crate::private_data::PrivateData;
use crate::shared::{Listening, Shared};
use crate::table::Handle;
use crate::work::Phase;
use crate::{Error, QueuePair, Rdma};
use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use reflex_event::Kernel;
use reflex_rdma_wire::Transport;
use reflex_rdma_wire::cm::RejectReason;

/// Most events told in one run: then others of the same priority have their turn.
const BATCH: u32 = 8;

/// Something has happened to a connection.
pub struct ConnectionEvent<K: Kernel> {
    /// Which.
    pub connection: Connection<K>,
    /// What.
    pub what: ConnectionChange,
}

/// A connection's name. It can be kept and copied anywhere; when the connection is over, what is
/// asked of it has no effect.
pub struct Connection<K: Kernel> {
    rdma: Rdma<K>,
    handle: u64,
}

impl<K: Kernel> Clone for Connection<K> {
    fn clone(&self) -> Self {
        Self { rdma: self.rdma.clone(), handle: self.handle }
    }
}

impl<K: Kernel> PartialEq for Connection<K> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<K: Kernel> Eq for Connection<K> {}

impl<K: Kernel> fmt::Debug for Connection<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.handle)
    }
}

/// Makes connections, and has its context's handler told of all that happens to them. Copies are of
/// the same.
pub struct ConnectionManager<K: Kernel> {
    rdma: Rdma<K>,
    channel: Handle,
}

impl<K: Kernel> Clone for ConnectionManager<K> {
    fn clone(&self) -> Self {
        Self::new(self.rdma.clone(), self.channel)
    }
}

impl<K: Kernel> ConnectionManager<K> {
    pub(crate) fn new(rdma: Rdma<K>, channel: Handle) -> Self {
        Self { rdma, channel }
    }

    /// Listens on a port for reliable connections (`RDMA_PS_TCP`), for unreliable ones (`RDMA_PS_IB`), or for
    /// those that [ask](Self::resolve) for a datagram queue pair (`RDMA_PS_UDP`); `backlog` requests may wait at a time. All backlogs of a port add up to less
    /// than its [connections](crate::Limits::connections), so that no flood of requests takes all.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::LimitReached`], [`Error::BadParameter`], [`Error::Gone`],
    /// [`Error::QueueFull`].
    pub fn listen(&self, transport: Transport, port: u16, backlog: u16) -> Result<(), Error> {
        if port == 0 || backlog == 0 {
            return Err(Error::BadParameter);
        }
        let service = service(transport, port);
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
        let service = service(transport, port);
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
        if pair.transport == Transport::Datagram {
            return Err(Error::Unsupported);
        }
        inner.local(to.0).ok_or(Error::NoAddress)?;
        let (pair, channel, connect) = (pair.handle, self.channel, Box::new(connect));
        self.ask(|shared, handle| {
            fresh(shared, pair)?;
            promise(shared, channel)?;
            shared.pair(pair)?.phase = Phase::Connecting;
            Ok(Command::Connect { pair, channel, handle, to, connect })
        })
    }

    /// Asks a port of a peer's for its datagram queue pair, with at most 180 bytes for the peer's application. It is
    /// told as [`Resolved`](crate::ConnectionChange::Resolved): a queue pair of one's own is needed only to send there.
    ///
    /// # Errors
    /// [`Error::NoAddress`], [`Error::QueueFull`], [`Error::PrivateData`], [`Error::Gone`];
    /// [`Error::LimitReached`] when too many events wait for their handler.
    pub fn resolve(&self, to: (IpAddr, u16), data: &[u8]) -> Result<Connection<K>, Error> {
        self.rdma.0.local(to.0).ok_or(Error::NoAddress)?;
        let (channel, data) = (self.channel, Box::new(PrivateData::new(data, 180)?));
        self.ask(|shared, handle| {
            promise(shared, channel)?;
            Ok(Command::Resolve { channel, handle, to, data })
        })
    }

    /// Has something asked for that `make` makes, under a name of its own.
    fn ask(
        &self,
        make: impl FnOnce(&mut Shared, u64) -> Result<Command, Error>,
    ) -> Result<Connection<K>, Error> {
        let mut named = 0;
        self.rdma.0.command(|shared| {
            named = shared.new_connection();
            make(shared, named)
        })?;
        Ok(Connection { rdma: self.rdma.clone(), handle: named })
    }

    /// Tells what has happened. A run of the handler's registration.
    pub(crate) fn hand_events(&self, mut call: impl FnMut(ConnectionEvent<K>)) {
        for left in (0..BATCH).rev() {
            let (next, again) = self.rdma.0.with(|shared| {
                let Some(channel) = shared.channels.get_mut(self.channel) else {
                    return (None, None);
                };
                let next = channel.queue.pop_front();
                channel.armed = channel.queue.is_empty();
                (next, channel.event.filter(|_| left == 0 && !channel.armed))
            });
            let Some(Occurred { handle, what }) = next else { return };
            let connection = Connection { rdma: self.rdma.clone(), handle };
            call(ConnectionEvent { connection, what });
            if let Some(event) = again {
                self.rdma.0.activate(event);
            }
        }
    }
}

impl<K: Kernel> Connection<K> {
    /// Accepts it, for that queue pair, which takes no packet before: post receives first. Where a datagram queue pair
    /// was asked for, that is named, with its key, and nothing more is told.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when the port has too much to do, [`Error::NotReady`] when the queue pair
    /// has a peer or has failed, [`Error::Gone`].
    pub fn accept(&self, pair: &QueuePair<K>, accept: Accept) -> Result<(), Error> {
        let (handle, transport) = (self.handle, pair.transport);
        let (pair, accept) = (pair.handle, Box::new(accept));
        let datagrams = transport == Transport::Datagram;
        self.rdma.0.command(|shared| {
            if !datagrams {
                fresh(shared, pair)?;
                shared.pair(pair)?.phase = Phase::Connecting;
            }
            Ok(Command::Accept { handle, pair, accept })
        })
    }

    /// Rejects it, with at most 148 bytes for the peer's application.
    ///
    /// # Errors
    /// [`Error::PrivateData`], [`Error::QueueFull`].
    pub fn reject(&self, data: &[u8]) -> Result<(), Error> {
        let (handle, reason) = (self.handle, RejectReason::CONSUMER);
        let data = PrivateData::new(data, 148)?;
        let data = Box::new(data);
        self.rdma.0.command(|_| Ok(Command::Reject { handle, reason, data }))
    }

    /// Ends it: what is in flight completes as flushed.
    ///
    /// # Errors
    /// [`Error::QueueFull`].
    pub fn disconnect(&self) -> Result<(), Error> {
        self.rdma.0.command(|_| Ok(Command::Disconnect { handle: self.handle }))
    }
}

/// Keeps places for what is told of what is asked for.
///
/// # Errors
/// [`Error::Gone`], [`Error::LimitReached`].
fn promise(shared: &mut Shared, channel: Handle) -> Result<(), Error> {
    let promised = shared.channels.get_mut(channel).ok_or(Error::Gone)?.promise(ASKED);
    if promised { Ok(()) } else { Err(Error::LimitReached) }
}

/// # Errors
/// [`Error::NotReady`] when a queue pair has a peer, is about to have one, or has failed.
fn fresh(shared: &mut Shared, pair: Handle) -> Result<(), Error> {
    match shared.pair(pair)?.phase {
        Phase::Fresh => Ok(()),
        _ => Err(Error::NotReady),
    }
}
