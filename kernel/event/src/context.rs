//! What the dispatcher knows of a context.

use crate::Error;
use crate::queue::{Queue, Rank};
use crate::table::NONE;
use alloc::vec::Vec;

/// No context.
pub(crate) const NOBODY: u16 = u16::MAX;

/// One context's scheduling state, apart from its queue: what every switch touches.
///
/// ```text
///            activate                dispatch
///   Idle ---------------> Ready ------------------> Running <--+
///    ^                      ^                        |  |      | dispatch
///    |                      | rank changes           |  |      |
///    |                      +--------- Preempted <---|--+      |
///    |                                     |         | preempt |
///    |                                     +---------|---------+
///    +-----------------------------------------------+
///                    finish, nothing pending
/// ```
#[derive(Clone, Copy)]
pub(crate) struct ContextRecord<C> {
    /// Rank it competes with: the highest of `active` and what is pending. 0 when idle.
    pub(crate) effective: Rank,
    /// Rank of the activation its handler runs for; 0 when no handler is on its stack.
    pub(crate) active: Rank,
    /// Among the preempted, not the ready.
    pub(crate) preempted: bool,
    /// Neighbours among the ready, or the preempted (`next` was preempted before this one).
    pub(crate) next: u16,
    pub(crate) previous: u16,
    /// Place of the registration whose handler is on its stack.
    pub(crate) serving: u32,
    /// What the driver of the core keeps with each context.
    pub(crate) machine: C,
}

/// The most contexts there can be.
pub(crate) const MOST: usize = 256;

/// All contexts. They lie in an array, so that reaching one costs no look at a length.
pub(crate) struct Contexts<C> {
    records: [ContextRecord<C>; MOST],
    queues: Vec<Queue>,
}

impl<C: Copy> Contexts<C> {
    pub(crate) const fn new(machine: C) -> Self {
        let idle = ContextRecord {
            effective: 0,
            active: 0,
            preempted: false,
            next: NOBODY,
            previous: NOBODY,
            serving: NONE,
            machine,
        };
        Self { records: [idle; MOST], queues: Vec::new() }
    }

    pub(crate) fn reserve(&mut self, most: usize) -> Result<(), Error> {
        self.queues.try_reserve_exact(most.min(MOST)).map_err(|_| Error::HeapExhausted)
    }

    /// Adds a context; the capacity given at the start is never exceeded.
    pub(crate) fn add(&mut self, machine: C) -> Result<u16, Error> {
        if self.queues.len() == self.queues.capacity().min(MOST) {
            return Err(Error::TableFull);
        }
        let context = self.queues.len() as u16;
        self.queues.push(Queue::EMPTY);
        self.at(context).machine = machine;
        Ok(context)
    }

    pub(crate) fn get(&mut self, context: u16) -> Option<&mut ContextRecord<C>> {
        (usize::from(context) < self.queues.len()).then(|| self.at(context))
    }

    /// A context that is known to exist; the remainder only spares the check.
    #[inline(always)]
    pub(crate) fn at(&mut self, context: u16) -> &mut ContextRecord<C> {
        &mut self.records[usize::from(context) % MOST]
    }

    #[inline(always)]
    pub(crate) fn queue(&mut self, context: u16) -> &mut Queue {
        &mut self.queues[usize::from(context)]
    }
}
