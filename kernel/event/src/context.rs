//! What the dispatcher knows of a context.

use crate::Error;
use crate::queue::{Queue, Rank};
use crate::table::NONE;
use alloc::vec::Vec;

/// No context.
pub(crate) const NOBODY: u16 = u16::MAX;

/// One context's scheduling state.
///
/// ```text
///            activate                dispatch
///   Idle ---------------> Ready ------------------> Running <--+
///    ^                                               |  |      | dispatch
///    |                finish, nothing pending        |  |      |
///    +-----------------------------------------------+  +--> Preempted
///                                                     preempt
/// ```
pub(crate) struct ContextRecord {
    pub(crate) queue: Queue,
    /// Rank it competes with: the highest of `active` and what is pending. 0 when idle.
    pub(crate) effective: Rank,
    /// Rank of the activation its handler runs for; 0 when no handler is on its stack.
    pub(crate) active: Rank,
    /// Place of the registration whose handler is on its stack.
    pub(crate) serving: u32,
    /// Neighbours among the ready; meaningless while running or idle.
    pub(crate) next: u16,
    pub(crate) previous: u16,
}

/// All contexts.
pub(crate) struct Contexts {
    records: Vec<ContextRecord>,
}

impl Contexts {
    pub(crate) const fn new() -> Self {
        Self { records: Vec::new() }
    }

    pub(crate) fn reserve(&mut self, most: usize) -> Result<(), Error> {
        let most = most.min(usize::from(NOBODY));
        self.records.try_reserve_exact(most).map_err(|_| Error::HeapExhausted)
    }

    /// Adds a context; the capacity given at the start is never exceeded.
    pub(crate) fn add(&mut self) -> Result<u16, Error> {
        if self.records.len() == self.records.capacity() {
            return Err(Error::TableFull);
        }
        self.records.push(ContextRecord {
            queue: Queue::EMPTY,
            effective: 0,
            active: 0,
            serving: NONE,
            next: NOBODY,
            previous: NOBODY,
        });
        Ok((self.records.len() - 1) as u16)
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    #[inline(always)]
    pub(crate) fn at(&mut self, context: u16) -> &mut ContextRecord {
        &mut self.records[usize::from(context)]
    }
}
