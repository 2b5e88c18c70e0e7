//! What applications and the port share: bounded queues between their contexts, and tables. All of it
//! lies behind one dispatch ceiling, and is touched in short sections only.

use crate::command::Command;
use crate::connection_event::Occurred;
use crate::counters::Counters as PortCounters;
use crate::pair_state::{Pair, Share};
use crate::table::{Handle, Table};
use crate::work::{Cqe, Phase, ReceiveWork, SendWork};
use crate::{Error, Peer};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use reflex_event::{EventId, Owner};
use reflex_rdma_device::Regions;
use reflex_rdma_engine::{Completion, Counters, Domain, Event, Status};
use reflex_rdma_wire::Qpn;
use reflex_rdma_wire::cm::ServiceId;

/// A protection domain. What belongs to it is given up with it.
pub(crate) struct PdShared {
    pub(crate) owner: Owner,
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
pub(crate) struct QpShared {
    pub(crate) domain: Domain,
    pub(crate) phase: Phase,
    pub(crate) sends: Posted<SendWork>,
    pub(crate) receives: Posted<ReceiveWork>,
    /// Where its receives come from, if they are not its own.
    pub(crate) shared: Option<Handle>,
    /// Has the port work for it.
    pub(crate) event: EventId,
    /// That event is activated.
    pub(crate) wanted: bool,
    /// What is asked of the port, in the order in which it is done. It takes no place in any queue, so
    /// that it is never refused.
    pub(crate) requests: Requests,
    /// Its completion queues, of sends and of receives.
    pub(crate) queues: [Reserved; 2],
    /// What happened that no completion tells, and the event that is told.
    pub(crate) happened: VecDeque<Event>,
    pub(crate) told: Option<EventId>,
    /// What the engine has counted.
    pub(crate) counters: Counters,
}

/// What is asked of the port for a queue pair, beside posted work.
#[derive(Default)]
pub(crate) struct Requests {
    /// It has been made, and is to be taken over.
    pub(crate) arriving: Option<Box<Pair>>,
    /// It is to work with this peer.
    pub(crate) peer: Option<Box<Peer>>,
    /// What is to become of its sends: what was asked for last.
    pub(crate) sends: Option<Sends>,
    /// It is to fail.
    pub(crate) fail: bool,
    /// Its application has dropped it.
    pub(crate) destroy: bool,
}

/// What is to become of sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sends {
    /// No other begins.
    Drain,
    /// They are done again.
    Resume,
}

/// What a queue pair has of a completion queue.
#[derive(Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) queue: Handle,
    /// Its places there.
    pub(crate) places: u32,
    /// Of these, with a completion.
    pub(crate) waiting: u32,
}

/// A shared receive queue, as its application sees it.
pub(crate) struct SrqShared {
    pub(crate) domain: Domain,
    pub(crate) receives: Posted<ReceiveWork>,
    /// It has been made, and is to be taken over.
    pub(crate) arriving: Option<Box<Share>>,
    /// A limit to be set, and the event that is told when there are fewer receives.
    pub(crate) limit: Option<u32>,
    pub(crate) told: Option<EventId>,
}

/// A completion queue.
pub(crate) struct CqShared {
    pub(crate) owner: Owner,
    pub(crate) ring: VecDeque<Cqe>,
    pub(crate) size: u32,
    /// Places that queue pairs have; and those with completions of ones that are gone.
    pub(crate) reserved: u32,
    pub(crate) event: Option<EventId>,
    /// The next completion activates the event.
    pub(crate) armed: bool,
    /// Unless it is neither solicited nor tells of a failure.
    pub(crate) solicited: bool,
}

impl CqShared {
    /// Takes places, as a queue pair is made.
    pub(crate) fn reserve(&mut self, places: u32) -> bool {
        let fits = places <= self.size - self.reserved;
        if fits {
            self.reserved += places;
        }
        fits
    }

    /// Appends a completion: the event to activate.
    #[inline]
    pub(crate) fn push(&mut self, done: Cqe) -> Option<EventId> {
        let Completion { solicited, status, .. } = done.completion;
        let tells = !self.solicited || solicited || status != Status::Success;
        self.ring.push_back(done);
        (tells && core::mem::take(&mut self.armed)).then_some(self.event)?
    }

    /// Takes the oldest completion. The event is activated by the next when there is none.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Cqe> {
        let next = self.ring.pop_front();
        self.armed |= next.is_none();
        next
    }
}

/// The handlers' side of connections: what they are to be told.
pub(crate) struct Channel {
    pub(crate) owner: Owner,
    pub(crate) queue: VecDeque<Occurred>,
    pub(crate) size: usize,
    /// Events that may still come of the connections there are: places are kept for them.
    pub(crate) promised: usize,
    pub(crate) event: Option<EventId>,
    pub(crate) armed: bool,
}

impl Channel {
    /// Keeps places for the events of a connection, if there are so many.
    pub(crate) fn promise(&mut self, events: usize) -> bool {
        let fits = self.queue.len() + self.promised + events <= self.size;
        if fits {
            self.promised += events;
        }
        fits
    }

    /// Appends an event that was promised: what is to be activated.
    pub(crate) fn tell(&mut self, occurred: Occurred) -> Option<EventId> {
        self.promised -= 1;
        self.queue.push_back(occurred);
        core::mem::take(&mut self.armed).then_some(self.event)?
    }
}

/// A port that is listened on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) service: ServiceId,
    pub(crate) channel: Handle,
    pub(crate) backlog: u16,
}

/// All of it.
pub(crate) struct Shared {
    pub(crate) domains: Table<PdShared>,
    pub(crate) pairs: Table<QpShared>,
    pub(crate) shares: Table<SrqShared>,
    pub(crate) queues: Table<CqShared>,
    pub(crate) channels: Table<Channel>,
    pub(crate) listening: Vec<Listening>,
    pub(crate) regions: Regions,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) counters: PortCounters,
    /// The last name of a connection.
    pub(crate) handles: u64,
}

/// Bits of a queue pair's number that say where it is in the tables.
const INDEX: u32 = (1 << 10) - 1;

/// The number by which packets name the queue pair of that name, and nothing else does: it comes back
/// after as many others as its bits can tell apart. None is one of the two special ones, as those have no
/// generation.
pub(crate) fn number(handle: Handle) -> Qpn {
    let generation = (handle.generation() % ((1 << 14) - 1)) as u32 + 1;
    Qpn::new(generation << 10 | u32::from(handle.index()))
}

/// Where a queue pair of that number is in the tables, if there is one.
#[inline]
pub(crate) fn slot(number: Qpn) -> u16 {
    (number.get() & INDEX) as u16
}

impl Shared {
    /// A name for a connection.
    pub(crate) fn new_connection(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }

    /// The queue pair of that name.
    #[inline]
    pub(crate) fn pair(&mut self, handle: Handle) -> Result<&mut QpShared, Error> {
        self.pairs.get_mut(handle).ok_or(Error::Gone)
    }

    /// Whether a protection domain is there still.
    pub(crate) fn has(&self, domain: Domain) -> bool {
        self.domains.get(Handle(domain.0)).is_some()
    }
}

impl QpShared {
    /// Has the port work for the queue pair, unless it will already.
    #[inline]
    pub(crate) fn want(&mut self) -> Option<EventId> {
        (!core::mem::replace(&mut self.wanted, true)).then_some(self.event)
    }
}
