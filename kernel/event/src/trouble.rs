//! Trouble inside the event system, which is itself told as an event (A-3.5.2, K-7).

use crate::EventId;

/// What can go wrong on the way to a handler. A context that has named a registration for it is
/// told by an activation of that; the counts lie in the context itself, so that telling needs no
/// memory and cannot fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The event memory has become scarce.
    PoolLow,
    /// Event memory that was needed was not there.
    PoolExhausted,
    /// A limit of the context was reached.
    LimitReached,
    /// A source had to be throttled, as its occurrences could not be queued.
    SourceThrottled,
    /// A context that this one answers for has stopped.
    HandlerStopped,
    /// A handler ended after its deadline.
    DeadlineMissed,
    /// The machine's memory has become scarce.
    MemoryPressure,
    /// Memory is not used again: of a context that this one answers for, and that has been given up; or
    /// of this one's own, which one that was given up had borrowed.
    MemoryQuarantined,
    /// A registration was ended by its context's replacement, which had no handler for it.
    RegistrationLost,
}

impl Trouble {
    /// How many kinds there are.
    pub const KINDS: usize = 9;

    /// Every kind.
    pub const ALL: [Self; Self::KINDS] = [
        Self::PoolLow,
        Self::PoolExhausted,
        Self::LimitReached,
        Self::SourceThrottled,
        Self::HandlerStopped,
        Self::DeadlineMissed,
        Self::MemoryPressure,
        Self::MemoryQuarantined,
        Self::RegistrationLost,
    ];
}

/// How often each kind of trouble has occurred since it was last told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Troubles([u32; Trouble::KINDS]);

impl Troubles {
    pub(crate) const NONE: Self = Self([0; Trouble::KINDS]);

    /// How often `kind` occurred.
    pub fn count(&self, kind: Trouble) -> u32 {
        self.0[kind as usize]
    }

    /// The kinds that occurred, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Trouble, u32)> {
        let counts = self.0;
        Trouble::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn add(&mut self, kind: Trouble) {
        let count = &mut self.0[kind as usize];
        *count = count.saturating_add(1);
    }
}

/// The event to tell, and of what.
#[derive(Clone, Copy)]
pub(crate) struct Notice {
    pub(crate) event: Option<EventId>,
    pub(crate) troubles: Troubles,
}
