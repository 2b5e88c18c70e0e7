//! What a context is made with.

use super::home::Reuse;
use core::time::Duration;
use reflex_event::{ContextId, Limits, Policy};
use reflex_memory::{Granule, Scheme};

/// Bytes of the smallest block of event memory. A bound handler without captures takes one.
pub(crate) const GRANULE: Granule = match Granule::new(32) {
    Some(granule) => granule,
    None => unreachable!(),
};

/// An allocation scheme of a context's own, if it has one.
pub type OwnScheme = Option<&'static mut dyn Scheme>;

/// What a context is made with.
#[derive(Clone, Copy, Debug)]
pub struct ContextOptions {
    /// What crash reports and logs call it.
    pub name: &'static str,
    /// Bytes of its stack; a guard page lies under it.
    pub stack: usize,
    /// Bytes of its event memory, bookkeeping included.
    pub memory: usize,
    /// How much of the event system it may use.
    pub limits: Limits,
    /// What it may do at all.
    pub policy: Policy,
    /// Its parent.
    pub origin: Origin,
    /// What becomes of it when it fails.
    pub on_failure: OnFailure,
    /// How long to wait before restarts.
    pub backoff: Backoff,
    /// Whether its memory may be used again when it has been given up.
    pub reuse: Reuse,
}

impl ContextOptions {
    /// A context called `name` with a stack of 16 KiB and 64 KiB of event memory.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            stack: 16 << 10,
            memory: 64 << 10,
            limits: Limits::NONE,
            policy: Policy::OPEN,
            origin: Origin::Caller,
            on_failure: OnFailure::Halt,
            backoff: Backoff::USUAL,
            reuse: Reuse::NEVER,
        }
    }

    /// Whether there is something to be kept of a context made with these.
    pub(crate) fn is_supervised(&self) -> bool {
        self.on_failure != OnFailure::Halt || self.policy.budget.is_some()
    }
}

/// A context's parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The context which makes it.
    Caller,
    /// Another; and it has no more than its maker, either.
    ChildOf(ContextId),
    /// None: it belongs to the system, whatever was the first to need it.
    System,
}

/// What becomes of a context that fails: panics, faults, or exceeds its budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFailure {
    /// The image ends with a full report.
    Halt,
    /// The context is given up, and stays so until somebody restarts it.
    Ignore,
    /// The context is given up, and restarted after a while.
    Restart,
}

/// How long to wait before a restart: twice as long each time, but for one that follows on a life
/// longer than the longest wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The first wait; at least a millisecond.
    pub initial: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Backoff {
    /// From 10 ms to 10 s.
    pub const USUAL: Self =
        Self { initial: Duration::from_millis(10), longest: Duration::from_secs(10) };
}

impl Default for Backoff {
    fn default() -> Self {
        Self::USUAL
    }
}
