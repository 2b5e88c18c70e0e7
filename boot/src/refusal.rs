//! What the global heap refuses: counted, and told in a line that names the context, what it asked for and
//! what there is.
//!
//! A context that asks again and again is told of at its first, second, fourth, eighth … refusal, so that the
//! log is not flooded. A context that cannot go on without the memory panics; what such a panic says is
//! completed by [`AllocationFailed`].

use crate::heap_counters::Counters;
use core::alloc::Layout;
use core::fmt;
#[cfg(not(test))]
use core::panic::PanicInfo;
use reflex_runtime::{Running, Runtime, describe_running};

/// Contexts with a count of their own; others share a place with one of these.
const PLACES: usize = 64;

/// How much has been refused.
pub(crate) struct Told {
    refused: u64,
    /// By context.
    counts: [u32; PLACES],
}

impl Told {
    pub(crate) const NOTHING: Self = Self { refused: 0, counts: [0; PLACES] };

    /// How many allocations were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Counts one more, and says which context is to be told of, if any. Without a `kernel` none is.
    /// Otherwise the caller is in a section, and has opened it where none was open.
    pub(crate) fn refuse(&mut self, kernel: Option<Runtime>) -> Option<Running> {
        self.refused += 1;
        let index = kernel?.running().map_or(0, |context| usize::from(context.index));
        self.count(index).then(describe_running)
    }

    /// Counts one more of a context; true when it is to be told of.
    fn count(&mut self, index: usize) -> bool {
        let count = &mut self.counts[index % PLACES];
        *count = count.saturating_add(1);
        count.is_power_of_two()
    }
}

/// An allocation that was refused.
pub(crate) struct Refusal {
    pub(crate) running: Running,
    pub(crate) layout: Layout,
    pub(crate) heap: Counters,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { running, layout, heap } = self;
        write!(f, "{running} is refused {} bytes of the heap: {heap}", layout.size())
    }
}

/// Where `alloc` panics when the global heap refuses what the code cannot do without, and nowhere else;
/// without nightly's error handler there is no other way to tell.
#[cfg(not(test))]
const ALLOCATION_FAILED: &str = "alloc/src/alloc.rs";

/// The panic of code that was refused memory: what it asked for, and what there is.
#[cfg(not(test))]
pub(crate) struct AllocationFailed<'a> {
    info: &'a PanicInfo<'a>,
    heap: Counters,
}

#[cfg(not(test))]
impl<'a> AllocationFailed<'a> {
    /// The panic, if it is one of that kind, with what `heap` says there is.
    pub(crate) fn of(info: &'a PanicInfo<'a>, heap: fn() -> Counters) -> Option<Self> {
        let refused = info.location().is_some_and(|at| at.file().ends_with(ALLOCATION_FAILED));
        refused.then(|| Self { info, heap: heap() })
    }
}

#[cfg(not(test))]
impl fmt::Display for AllocationFailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.info.message(), self.heap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_is_refused_again_and_again_is_told_of_seldom() {
        let mut told = Told::NOTHING;
        let heard: Vec<usize> = (1..=1_000).filter(|_| told.count(5)).collect();
        assert_eq!(heard, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert!(told.count(6) && told.count(6) && !told.count(6));
    }

    #[test]
    fn what_is_refused_without_a_kernel_is_counted() {
        let mut told = Told::NOTHING;
        assert!(told.refuse(None).is_none() && told.refuse(None).is_none());
        assert_eq!(told.refused(), 2);
    }
}
