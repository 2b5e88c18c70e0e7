//! Where a supervised context lives, and whether that may be used again when it has been given up.

use core::cell::Cell;
use core::ops::Range;
use reflex_event::Borrowed;

/// Bytes under the stack of a supervised context, for kernel code to go on with when the stack is
/// used up. What runs there is a job, a section, a guarded call, and an interrupt in each.
pub(crate) const RESERVE: usize = 8 << 10;

/// Whether the memory of a context that has been given up may be used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reuse(bool);

impl Reuse {
    /// Never: it is quarantined.
    pub const NEVER: Self = Self(false);

    /// At once: the context's next life begins on the same stack and in the same event memory, and
    /// what its handlers have captured is freed with them.
    ///
    /// # Safety
    /// From the moment at which the context is given up, wherever it may be then, nothing outside of
    /// its own stack and its own event memory points into these, or to what the handler that ran has
    /// captured. That is:
    ///
    /// - no code that runs in the context, its filters and the destructors of what its handlers have
    ///   captured included, calls a function that leaves a pointer to its own frame, or to what is
    ///   borrowed for the call, where others find it, and takes it back in a destructor or before
    ///   it returns: scopes that lend to other contexts, intrusive lists of waiters on the stack;
    /// - no value on the stack or in the event memory is pinned that others have the address of, and takes it
    ///   back in its destructor;
    /// - no collection of the context's own ([`PoolAllocator`](reflex_memory::PoolAllocator)) is leaked, so that a
    ///   reference into it lasts for ever, and handed to others.
    ///
    /// What is lent ([`Lent`](reflex_memory::Lent)) is not the context's own in this sense.
    pub const unsafe fn at_once() -> Self {
        Self(true)
    }

    /// What becomes of what the context has borrowed.
    pub(crate) const fn borrowed(self) -> Borrowed {
        if self.0 { Borrowed::Reusable } else { Borrowed::Quarantined }
    }

    /// Whether it is at once.
    pub(crate) const fn is_at_once(self) -> bool {
        self.0
    }
}

/// How much is in quarantine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quarantine {
    /// Computations that were given up, with memory that is not used again.
    pub computations: u64,
    /// Bytes of their stacks, of their contexts' event memory, and of what they had borrowed of others'.
    pub bytes: u64,
    /// The most bytes there may be before the image ends.
    pub bound: u64,
}

impl Quarantine {
    /// Nothing.
    pub(crate) const NONE: Self = Self { computations: 0, bytes: 0, bound: 0 };
}

/// Where a supervised context lives: what is quarantined with it, and what another life needs.
pub(crate) struct Home {
    pub(crate) stack: Cell<(usize, usize)>,
    /// Bytes of another stack, and of other event memory; none when that was handed out by a scheme,
    /// of which there is no second.
    pub(crate) stack_bytes: usize,
    pub(crate) pool_bytes: Option<usize>,
    pub(crate) reuse: Reuse,
    /// It is in quarantine: the next life needs another.
    pub(crate) left: Cell<bool>,
    /// A stack for the next life, when there was no memory for the rest.
    pub(crate) next: Cell<Option<(usize, usize)>>,
    /// Bytes that were quarantined with the last life.
    pub(crate) lost: Cell<u64>,
    /// Bytes of stacks on which filters have been given up in this one.
    pub(crate) filter_stacks: Cell<u64>,
}

impl Home {
    pub(crate) fn new(
        stack: Range<usize>,
        stack_bytes: usize,
        pool_bytes: Option<usize>,
        reuse: Reuse,
    ) -> Self {
        Self {
            stack: Cell::new((stack.start, stack.end)),
            stack_bytes,
            pool_bytes,
            reuse,
            left: Cell::new(false),
            next: Cell::new(None),
            lost: Cell::new(0),
            filter_stacks: Cell::new(0),
        }
    }

    /// The stack, without the reserve under it.
    pub(crate) fn stack(&self) -> Range<usize> {
        let (start, end) = self.stack.get();
        start..end
    }

    /// The reserve under the stack.
    pub(crate) fn reserve(&self) -> Range<usize> {
        let (start, _) = self.stack.get();
        start - RESERVE..start
    }
}
