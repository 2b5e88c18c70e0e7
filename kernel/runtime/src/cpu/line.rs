//! What interrupts are about: lines, one for each vector, and places of signals.

use super::job::Job;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
use reflex_event::EventId;
use reflex_hil::Acknowledge;

/// What an interrupt is about.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// Nobody has asked for the vector.
    Free,
    /// Somebody has, and has not said yet.
    Reserved,
    /// It posts a job.
    Job(Job),
    /// It is an occurrence of an event by itself, which has this place in the interrupt signal queue.
    Event(EventId, &'static PendingSignal),
}

/// What a vector does.
pub(crate) struct Line {
    /// What quiets a device that interrupts by a level. Called in interrupt context only.
    pub(crate) acknowledge: Option<&'static mut dyn Acknowledge>,
    pub(crate) purpose: Purpose,
}

impl Line {
    pub(crate) const FREE: Self = Self { acknowledge: None, purpose: Purpose::Free };
}

/// An event's place in the interrupt signal queue. It is never freed, since interrupts may come to it at any time,
/// but is another event's when its own has ended.
pub(crate) struct PendingSignal {
    /// The event's word; 0 when it is nobody's: generations are odd.
    pub(crate) event: AtomicU64,
    pub(crate) fired: AtomicU32,
    /// In the interrupt signal queue, or behind this one among those that are nobody's.
    pub(crate) next: AtomicPtr<PendingSignal>,
    /// Made before this one.
    pub(crate) older: Option<&'static PendingSignal>,
}

/// All pending signals, and those that are nobody's.
pub(crate) struct PendingSignals {
    pub(crate) newest: Option<&'static PendingSignal>,
    pub(crate) free: Option<&'static PendingSignal>,
    pub(crate) made: u32,
    /// How many had not outlived their events when it was last looked.
    pub(crate) used: u32,
}

/// Signals that are made before it is looked for the first time.
const LEAST: u32 = 16;

impl PendingSignals {
    pub(crate) const NONE: Self = Self { newest: None, free: None, made: 0, used: 0 };

    /// Whether it is time to look which have outlived their events.
    pub(crate) fn is_full(&self) -> bool {
        self.made >= 2 * self.used + LEAST
    }
}
