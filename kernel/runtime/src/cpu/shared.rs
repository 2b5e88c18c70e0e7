//! What all cores share, beside the machine's memory as far as that has not been given out.
//!
//! Each value has a lock, which is taken in a section and by no interrupt: its holder goes on running until it
//! gives it back. What is done under one takes some hundred instructions at most, and comes from no hot path.

use super::deferral::{Section, Start};
use super::home::Quarantine;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex_event::Names;
use spin::Mutex;

/// What all cores share.
pub(crate) struct Shared {
    /// The names of kinds of events. A policy has their places, and holds for contexts of every core.
    pub(crate) kinds: Locked<Names>,
    /// The names of protected sections, likewise.
    pub(crate) protected: Locked<Names>,
    /// How much memory is not used again.
    pub(crate) quarantine: Locked<Quarantine>,
    /// What the generators of all cores are seeded with, each apart.
    pub(crate) seed: Locked<Option<[u8; 32]>>,
    /// Bytes of the global heap that were lost with contexts.
    pub(crate) lost: AtomicU64,
}

/// What all cores share.
pub(crate) static SHARED: Shared = Shared {
    kinds: Locked(Mutex::new(Names::EMPTY)),
    protected: Locked(Mutex::new(Names::EMPTY)),
    quarantine: Locked(Mutex::new(Quarantine::NONE)),
    seed: Locked(Mutex::new(None)),
    lost: AtomicU64::new(0),
};

/// Makes it what it is before anything is done: a simulated machine begins after another.
pub(crate) fn reset(start: &Start) {
    SHARED.kinds.with(start, |names| *names = Names::EMPTY);
    SHARED.protected.with(start, |names| *names = Names::EMPTY);
    SHARED.quarantine.with(start, |all| *all = Quarantine::NONE);
    SHARED.seed.with(start, |seed| *seed = None);
    SHARED.lost.store(0, Relaxed);
}

/// A value with a lock.
pub(crate) struct Locked<T>(Mutex<T>);

impl<T> Locked<T> {
    /// Runs `work` on the value, in a section: it is short, and comes to no other such value.
    pub(crate) fn with<R>(&self, _: &Section, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock())
    }
}
