//! A TCP port, as a source of typed events.
//!
//! Handlers of one state that serve a port have that cheaper by [`System::tcp`] and a
//! [`TcpService`]: there is a context less on the way. This is for handlers that want a connection's events as those of any other kind.

use super::{Each, Kind, Source};
use crate::net::{Connection, ConnectionError, Listener, TcpService};
use crate::{Error, Priority, Runtime, System};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_event::{Error as EventError, EventId, EventSystem as Kernel, Registration};
use spin::Once;

/// Bytes of a connection's buffers, to receive and to send: some segments of Ethernet.
const BUFFERS: (usize, usize) = (4096, 8192);
/// Event memory that a connection's handler takes.
const HANDLER_BYTES: usize = 64;

/// A port that is listened on. It goes to one registration, so that a connection wakes one
/// handler. Copies are of the same port.
///
/// Connections that come before there is a registration wait for it; when there is none any more they
/// are reset. Of each, what has happened is told in order, and when the handler does not keep pace it
/// is told later, each thing once: as it reads, the peer's window closes.
#[derive(Clone)]
pub struct Tcp(Arc<TcpShared>);

/// What its copies share.
struct TcpShared {
    source: Source<TcpEvent>,
    listener: Listener,
    kernel: Runtime,
    /// Tells what is to be told.
    flush: EventId,
}

/// Something has happened to a connection.
#[derive(Clone, Debug)]
pub struct TcpEvent {
    /// Which one. It can be used and kept anywhere.
    pub connection: Connection,
    /// What has happened to it.
    pub change: TcpChange,
}

/// What can happen to a connection; as for [`TcpService`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpChange {
    /// A peer has connected.
    Accepted,
    /// Bytes have arrived.
    Received,
    /// There is room again after a short send.
    Sent,
    /// The peer will send no more; our side is to be closed.
    Closed,
    /// It has failed.
    Failed(ConnectionError),
    /// Both sides have closed.
    Ended,
}

impl Tcp {
    /// Listens on a port, for up to so many connections at a time. Their work is done at a
    /// priority.
    ///
    /// # Errors
    /// Those of [`System::tcp`]; others when memory or a table does not allow it.
    pub fn listen(
        system: System,
        port: u16,
        connections: u32,
        priority: Priority,
    ) -> Result<Self, Error> {
        let kernel = system.kernel();
        let again: Arc<Once<EventId>> = Arc::default();
        let resume = again.clone();
        let source: Source<TcpEvent> = system.exclusive(move || {
            // Registered for good, so it cannot be refused.
            let _ = resume.get().map(|event| kernel.activate(*event, 1));
        })?;
        let count = connections as usize;
        let (mut slots, mut waiting) = (Vec::new(), VecDeque::new());
        let room = slots.try_reserve_exact(count).and(waiting.try_reserve_exact(count));
        room.map_err(|_| EventError::HeapExhausted)?;
        slots.resize_with(count, SlotChanges::default);
        let bridge = TcpBridge { source: source.clone(), heard: false, slots, waiting };
        let memory = (8 << 10) + count * HANDLER_BYTES;
        let context = system.context("tcp", bridge).memory(memory).priority(priority).build()?;
        let registration = Registration { priority, ..Registration::default() };
        let flush = kernel
            .register(context.inner, registration, |bridge: &mut TcpBridge, _| bridge.flush())?;
        again.call_once(|| flush);
        let listener = system.tcp(port).connections(connections).priority(priority);
        let listener = listener.buffers(BUFFERS.0, BUFFERS.1).serve(context)?;
        Ok(Self(Arc::new(TcpShared { source, listener, kernel, flush })))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.listener.port()
    }
}

impl Kind<Runtime> for Tcp {
    const NAME: &str = "tcp";
    type Data = TcpEvent;
    type Accumulation = Each<16>;

    fn source(&self) -> &Source<TcpEvent> {
        &self.0.source
    }

    /// Connections may have waited for a registration that is told of them.
    fn attached(&self, _: u32) -> Result<(), EventError> {
        self.0.kernel.activate(self.0.flush, 1)
    }
}

/// What happens to connections, on its way to the source.
struct TcpBridge {
    source: Source<TcpEvent>,
    /// There has been a registration.
    heard: bool,
    /// By slot.
    slots: Vec<SlotChanges>,
    /// Slots with something to be told, oldest first; each once.
    waiting: VecDeque<usize>,
}

/// What is still to be told of the connection in a slot.
#[derive(Default)]
struct SlotChanges {
    connection: Option<Connection>,
    /// What is to be told, as [`TcpChange::bit`].
    owed: u8,
    failure: Option<ConnectionError>,
}

impl TcpChange {
    const ORDER: [fn(&SlotChanges) -> Self; 6] = [
        |_| Self::Accepted,
        |_| Self::Received,
        |_| Self::Sent,
        |_| Self::Closed,
        |changes| Self::Failed(changes.failure.unwrap_or(ConnectionError::Reset)),
        |_| Self::Ended,
    ];

    fn bit(self) -> u8 {
        1 << match self {
            Self::Accepted => 0,
            Self::Received => 1,
            Self::Sent => 2,
            Self::Closed => 3,
            Self::Failed(_) => 4,
            Self::Ended => 5,
        }
    }
}

impl TcpBridge {
    /// Whether there is no registration to be told any more.
    fn is_deserted(&self) -> bool {
        self.heard && self.source.registrations() == 0
    }

    /// Something is to be told. A connection is reset if its slot still has to be told of the one
    /// before: the handler is that far behind.
    fn tell(&mut self, connection: &Connection, change: TcpChange) {
        let (slot, deserted) = (connection.slot(), self.is_deserted());
        let Some(changes) = self.slots.get_mut(slot) else { return };
        if changes.connection.as_ref() != Some(connection) {
            if change != TcpChange::Accepted || changes.owed != 0 || deserted {
                return connection.abort();
            }
            changes.connection = Some(connection.clone());
        }
        if let TcpChange::Failed(error) = change {
            changes.failure = Some(error);
        }
        if changes.owed == 0 {
            self.waiting.push_back(slot);
        }
        changes.owed |= change.bit();
        self.flush();
    }

    /// Tells what is to be told, as far as there is room.
    fn flush(&mut self) {
        self.heard |= self.source.registrations() > 0;
        if !self.heard {
            return;
        }
        while let Some(slot) = self.waiting.front().copied() {
            let changes = &mut self.slots[slot];
            while let Some(connection) = &changes.connection
                && changes.owed != 0
            {
                let next = changes.owed.trailing_zeros() as usize;
                let change = TcpChange::ORDER[next](changes);
                let event = TcpEvent { connection: connection.clone(), change };
                if self.source.deliver(event).is_err() {
                    return;
                }
                changes.owed &= changes.owed - 1;
                if matches!(change, TcpChange::Failed(_) | TcpChange::Ended) {
                    changes.connection = None;
                    changes.owed = 0;
                }
            }
            self.waiting.pop_front();
        }
    }
}

impl TcpService for TcpBridge {
    fn accepted(&mut self, connection: &Connection) {
        self.tell(connection, TcpChange::Accepted);
    }

    fn received(&mut self, connection: &Connection) {
        self.tell(connection, TcpChange::Received);
    }

    fn sent(&mut self, connection: &Connection) {
        self.tell(connection, TcpChange::Sent);
    }

    fn closed(&mut self, connection: &Connection) {
        self.tell(connection, TcpChange::Closed);
        if self.is_deserted() {
            connection.finish();
        }
    }

    fn failed(&mut self, connection: &Connection, error: ConnectionError) {
        self.tell(connection, TcpChange::Failed(error));
    }

    fn ended(&mut self, connection: &Connection) {
        self.tell(connection, TcpChange::Ended);
    }
}
