//! Jobs, as they are kept.

use core::ptr::NonNull;

/// How many jobs there can be; the last bit of the pending word is the dispatcher's, and the one
/// before it the kill job's.
pub const MOST: usize = 62;

/// The bit of the job that may not return.
pub(crate) const LAST: u64 = 1 << MOST;

/// A job's work. It lives for ever and is called by nobody but [`jobs`](crate::dispatch::jobs).
#[derive(Clone, Copy)]
pub(crate) struct Work(pub(crate) NonNull<dyn FnMut() + Send>);

// SAFETY: what it points to is `Send`.
unsafe impl Send for Work {}

/// A job: it runs once for any number of times it was posted since it last ran, with dispatch
/// deferred, so its work is to be bounded and short. Work that may be more is cut off and
/// continued by an activation of some priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    pub(crate) bits: u64,
}

impl Job {
    /// The job's bits in the pending word.
    #[inline(always)]
    pub(crate) const fn bits(self) -> u64 {
        self.bits
    }

    /// Both jobs, to be posted together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits }
    }
}
