//! Where the stacks of contexts are, and what makes them.

use super::scope::Scopes;
use core::ops::Range;
use reflex_arch::context::Entry;

/// Where a context's stack is. What each switch writes is first, and needs no addition to be reached.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Stack {
    /// Where it was left when the context was preempted.
    pub(crate) saved: usize,
    /// Its upper end.
    pub(crate) top: usize,
    /// What is open on it.
    pub(crate) scopes: Scopes,
}

impl Stack {
    /// No stack.
    pub(crate) const NONE: Self = Self { saved: 0, top: 0, scopes: Scopes::NONE };
}

/// What makes stacks.
#[derive(Clone, Copy)]
pub struct StackSource {
    /// Gives out a stack of at least so many bytes; under it lies a reserve of so many more, closed,
    /// and under that a guard page. It may use [`memory::take`](crate::memory::take), and opens the sections it needs itself:
    /// changing a map may take long.
    pub make: fn(usize, usize) -> Option<Range<usize>>,
    /// Maps a reserve. False when it cannot, as the map is being changed. Called wherever kernel
    /// code can be, with interrupts masked.
    pub open: fn(Range<usize>) -> bool,
    /// Unmaps a reserve that nobody uses.
    pub close: fn(Range<usize>),
}

/// The stack that the processor is on when there is nothing to do.
pub(crate) struct IdleStack {
    /// Its upper end.
    pub(crate) top: usize,
    /// What is entered there.
    pub(crate) entry: Entry,
}
