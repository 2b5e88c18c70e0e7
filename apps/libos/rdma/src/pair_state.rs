//! A queue pair, and a shared receive queue, as the port has them.

use crate::table::Handle;
use crate::withheld::Withheld;
use crate::work::Tag;
use alloc::collections::VecDeque;
use core::cell::RefCell;
use reflex_event::{EventId, Instant, Priority, TimerId};
use reflex_rdma_device::{InFlight, Received};
use reflex_rdma_engine::{QueuePair, ReceiveQueue};
use reflex_rdma_wire::cm::CommId;
use reflex_rdma_wire::{QKey, Qpn};

/// Received frames that may wait for the queue pair's priority.
pub(crate) const FRAMES: usize = 64;

/// A queue pair.
pub(crate) struct Pair {
    pub(crate) engine: QueuePair,
    pub(crate) handle: Handle,
    pub(crate) priority: Priority,
    /// What datagrams to it have to have.
    pub(crate) key: QKey,
    pub(crate) event: EventId,
    pub(crate) timer: TimerId,
    /// When the timer is set to expire.
    pub(crate) armed: Option<Instant>,
    pub(crate) sends: RefCell<InFlight<Tag>>,
    pub(crate) receives: RefCell<InFlight<u64>>,
    /// The shared receive queue, if it has none of its own.
    pub(crate) share: Option<Handle>,
    pub(crate) frames: VecDeque<Received>,
    /// Frames that had been queued on the interface when the last of these was.
    pub(crate) last_queued: u64,
    /// The engine's deadline that has passed, and until when frames at hand are looked at first.
    pub(crate) excused: Option<(reflex_rdma_engine::Instant, Instant)>,
    /// It is among those to be settled.
    pub(crate) touched: bool,
    /// It is among those that wait for a buffer or a neighbour.
    pub(crate) stalled: bool,
    /// It is in ERR, and its application knows.
    pub(crate) failed: bool,
    /// Handlers that are to be told of its failures.
    pub(crate) withheld: Withheld,
    /// The sum of what its application knows to be counted.
    pub(crate) published: u32,
    /// The connection that it is in, or on its way to.
    pub(crate) connection: Option<CommId>,
    /// The peer has not confirmed that connection yet. Its first packet does, too.
    pub(crate) unconfirmed: bool,
}

/// A shared receive queue.
pub(crate) struct Share {
    pub(crate) engine: ReceiveQueue,
    pub(crate) in_flight: RefCell<InFlight<u64>>,
}

/// The kernel's time as the engine's.
#[inline]
pub(crate) fn engine_time(now: Instant) -> reflex_rdma_engine::Instant {
    reflex_rdma_engine::Instant::from_nanos(now.as_nanos())
}

/// The UDP source port of a queue pair: one each, as Linux has it.
pub(crate) fn source_port(number: Qpn) -> u16 {
    0xc000 | number.get() as u16 & 0x3fff
}
