//! What its owner does with a registration: looks at it, has it disabled and enabled, and ends it.

use super::{Delivery, Gate, Shortage};
use crate::store::Kept;
use reflex_event::{DisabledPolicy, Error, Kernel, Priority};

impl<K: Kernel, T: Send + 'static> Delivery<K, T> {
    /// Whether nothing waits for the handler.
    pub fn is_idle(&self) -> bool {
        self.with(|state| state.store.is_empty())
    }

    /// Occurrences with data that wait for the handler.
    pub fn pending(&self) -> u32 {
        self.with(|state| state.store.pending())
    }

    /// Occurrences that were dropped for want of room.
    pub fn shed(&self) -> u64 {
        self.with(|state| state.shed)
    }

    /// Changes what becomes of occurrences that find no room; a source that is held up tries
    /// again.
    pub fn set_shortage(&self, shortage: Shortage) {
        self.with(|state| state.shortage = shortage);
        self.retry();
    }

    /// Lets a source that is held up try again.
    pub fn retry(&self) {
        self.0.kernel.section(|| {
            if self.with(|state| core::mem::take(&mut state.holds_up)) {
                self.resume();
            }
        });
    }

    /// From now on only data counts of which `filter` says so; `None` lets all data count. It is
    /// asked where the event is activated, in a section: it is to be short. When it fails, or takes
    /// longer than its owner's budget, the owner is given up, and the data is forgotten.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn set_filter<F>(&self, filter: Option<F>) -> Result<(), Error>
    where
        F: Fn(&T) -> bool + Send + 'static,
    {
        let filter = match filter {
            None => None,
            Some(filter) => {
                let filter = self.0.pool.alloc(filter).map_err(|_| Error::OutOfMemory)?;
                Some(filter.unsize(|filter: &mut F| filter as &mut (dyn Fn(&T) -> bool + Send)))
            }
        };
        let old = self.change(|state| {
            state.version = state.version.wrapping_add(1);
            core::mem::replace(&mut state.filter, filter)
        });
        old.into_iter().for_each(|filter| self.discard(filter));
        Ok(())
    }

    /// Forgets what waits for the handler; says how many occurrences that were.
    pub fn clean(&self) -> u32 {
        let mut dropped: u32 = 0;
        for _ in 0..self.with(|state| state.store.entries()) {
            let Some((data, count)) = self.pop() else { break };
            self.discard(data);
            dropped = dropped.saturating_add(count);
        }
        self.change(|state| state.used_up = false);
        // There is room now.
        if self.with(|state| state.shortage == Shortage::Wait) {
            self.retry();
        }
        dropped
    }

    fn pop(&self) -> Option<Kept<T>> {
        self.with(|state| state.store.pop())
    }

    /// Whether occurrences are only counted, which the event core does.
    pub fn only_counts(&self) -> bool {
        self.with(|state| state.store.only_counts())
    }

    /// What becomes of occurrences while the registration is disabled. What waits already counts,
    /// or is forgotten, in the same way; so do `dropped` occurrences that waited elsewhere.
    pub fn disable(&self, meanwhile: DisabledPolicy, dropped: u32) {
        if meanwhile == DisabledPolicy::Keep {
            return self.change(|state| state.gate = state.gate.unless_closed(Gate::Open));
        }
        let counts = meanwhile == DisabledPolicy::Count;
        let gate = if counts { Gate::Counting } else { Gate::Discarding };
        self.change(|state| {
            state.gate = state.gate.unless_closed(gate);
            state.counted = 0;
        });
        let dropped = self.clean().saturating_add(dropped);
        if counts {
            self.with(|state| state.counted = state.counted.saturating_add(dropped));
        }
    }

    /// What becomes of occurrences that are not let in at present.
    pub fn meanwhile(&self) -> Option<DisabledPolicy> {
        self.with(|state| match state.gate {
            Gate::Open => None,
            Gate::Counting => Some(DisabledPolicy::Count),
            Gate::Discarding | Gate::Closed => Some(DisabledPolicy::Discard),
        })
    }

    /// Lets occurrences in again; says how many were counted meanwhile.
    pub fn enable(&self) -> u32 {
        self.change(|state| {
            state.gate = state.gate.unless_closed(Gate::Open);
            core::mem::take(&mut state.counted)
        })
    }

    /// The registration's priority has changed.
    pub fn set_priority(&self, priority: Priority) {
        self.0.kernel.section(|| {
            if let Some(source) = self.home() {
                source.set_priority(self, priority);
            }
        });
    }

    /// Detaches the registration, which is about to be ended, from its source: that takes less of
    /// the section in which it ends.
    pub fn leave(&self) {
        self.0.kernel.guarded(|| {
            if let Some(source) = self.home() {
                let left = source.detach(self);
                self.links(|links| links.left |= left);
            }
            self.close();
        });
    }

    /// Whether it has been detached ahead of its end. True once.
    pub(crate) fn has_left(&self) -> bool {
        self.links(|links| core::mem::take(&mut links.left))
    }

    /// The registration has ended: nothing is let in any more, and what waits is dropped.
    pub(crate) fn close(&self) {
        let filter = self.change(|state| {
            state.gate = Gate::Closed;
            state.version = state.version.wrapping_add(1);
            state.filter.take()
        });
        filter.into_iter().for_each(|filter| self.discard(filter));
        while let Some(kept) = self.pop() {
            self.discard(kept);
        }
    }
}
