//! What applications and the port share: bounded queues between their contexts, and tables. All of it
//! lies behind one dispatch ceiling, and is touched in short sections only.

use crate::command::Command;
use crate::connection::Occurred;
use crate::post::Address;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use reflex_event::{ContextId, EventId, Kernel};
use reflex_rdma_device::{Parts, Regions};
use reflex_rdma_engine::{Completion, Domain, Event, Flags, Work};
use reflex_rdma_wire::Qpn;
use reflex_rdma_wire::cm::ServiceId;

/// A context, and how often it had been given up: what it owns is given up with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    pub(crate) context: ContextId,
    pub(crate) failures: u32,
}

impl Owner {
    /// The present life of a context.
    pub(crate) fn of<K: Kernel>(kernel: &K, context: ContextId) -> Result<Self, crate::Error> {
        Ok(Self { context, failures: kernel.failures(context)? })
    }

    pub(crate) fn is_alive<K: Kernel>(&self, kernel: &K) -> bool {
        kernel.failures(self.context) == Ok(self.failures)
    }
}

/// A protection domain.
pub(crate) struct DomainFront {
    pub(crate) owner: Owner,
    pub(crate) name: Domain,
}

/// A send on its way to the engine.
pub(crate) struct SendWork {
    pub(crate) tag: Tag,
    pub(crate) work: Work,
    pub(crate) flags: Flags,
    pub(crate) to: Option<Address>,
    pub(crate) parts: Parts,
}

/// What the application knows a send by.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) id: u64,
    pub(crate) signalled: bool,
}

/// A receive on its way to the engine.
pub(crate) struct ReceiveWork {
    pub(crate) id: u64,
    pub(crate) parts: Parts,
}

/// How far a queue pair has come, as its application may know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It takes receives, and has no peer.
    Fresh,
    /// It takes sends.
    Ready,
    /// Everything posted is flushed.
    Failed,
}

/// Work that may be posted, and how much more.
pub(crate) struct Posted<W> {
    pub(crate) queue: VecDeque<W>,
    pub(crate) left: u32,
}

impl<W> Posted<W> {
    pub(crate) fn new(most: u32) -> Self {
        Self { queue: VecDeque::with_capacity(most as usize), left: most }
    }

    /// Appends work, if there is a place.
    #[inline]
    pub(crate) fn push(&mut self, work: W) -> Result<(), W> {
        if self.left == 0 {
            return Err(work);
        }
        self.left -= 1;
        self.queue.push_back(work);
        Ok(())
    }
}

/// A queue pair, as its application sees it.
pub(crate) struct Front {
    pub(crate) number: Qpn,
    pub(crate) phase: Phase,
    pub(crate) sends: Posted<SendWork>,
    pub(crate) receives: Posted<ReceiveWork>,
    /// Where its receives come from, if they are not its own.
    pub(crate) shared: Option<u16>,
    /// Has the port work for it.
    pub(crate) event: EventId,
    /// That event is activated.
    pub(crate) wanted: bool,
    /// Its completion queues, and the places it has in them.
    pub(crate) queues: [(u16, u32); 2],
    /// What happened that no completion tells, and who is told.
    pub(crate) happened: VecDeque<Event>,
    pub(crate) told: Option<EventId>,
}

/// A shared receive queue, as its application sees it.
pub(crate) struct SharedFront {
    pub(crate) receives: Posted<ReceiveWork>,
}

/// A completion, with its memory.
pub(crate) struct Done {
    pub(crate) completion: Completion,
    pub(crate) id: u64,
    pub(crate) parts: Parts,
    /// Where a place is free again when the application has it.
    pub(crate) from: From,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Sends(u16),
    Receives(u16),
    Shared(u16),
}

/// A completion queue.
pub(crate) struct Completions {
    pub(crate) owner: Owner,
    pub(crate) ring: VecDeque<Done>,
    pub(crate) size: u32,
    /// Places that queue pairs have.
    pub(crate) reserved: u32,
    /// Of these, those of queue pairs that are gone: free as soon as the ring is empty.
    pub(crate) retired: u32,
    pub(crate) event: Option<EventId>,
    /// The next completion activates the event.
    pub(crate) armed: bool,
}

impl Completions {
    /// Takes places, as a queue pair is made.
    pub(crate) fn reserve(&mut self, places: u32) -> bool {
        if self.ring.is_empty() {
            self.reserved -= core::mem::take(&mut self.retired);
        }
        let fits = places <= self.size - self.reserved;
        if fits {
            self.reserved += places;
        }
        fits
    }
}

/// Who is told of connections.
pub(crate) struct Channel {
    pub(crate) owner: Owner,
    pub(crate) queue: VecDeque<Occurred>,
    pub(crate) size: usize,
    pub(crate) event: Option<EventId>,
    pub(crate) armed: bool,
}

/// A port that is listened on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) service: ServiceId,
    pub(crate) channel: u16,
}

/// All of it.
pub(crate) struct Shared {
    pub(crate) domains: Vec<Option<DomainFront>>,
    pub(crate) pairs: Vec<Option<Front>>,
    pub(crate) shares: Vec<Option<SharedFront>>,
    pub(crate) queues: Vec<Option<Completions>>,
    pub(crate) channels: Vec<Option<Channel>>,
    pub(crate) listening: Vec<Listening>,
    pub(crate) regions: Regions,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) counters: crate::Counters,
    /// Makes numbers of queue pairs that are not used again soon.
    pub(crate) generation: u32,
    /// The last name of a connection.
    pub(crate) names: u32,
}

/// The first free place of a table, which never grows.
pub(crate) fn free_place<T>(table: &[Option<T>]) -> Option<u16> {
    table.iter().position(Option::is_none).map(|place| place as u16)
}

/// An empty table.
pub(crate) fn table<T>(places: u16) -> Vec<Option<T>> {
    (0..places).map(|_| None).collect()
}
