//! What is open on a stack: the list of scopes, the innermost first, and the count of guarded calls.

use core::ptr::NonNull;
use reflex_event::Borrowed;

/// The bit of [`Scopes::guards`] that says the context is to be given up as soon as no guarded call
/// is open on its stack. The others count such calls.
pub(crate) const KILL_PENDING: u32 = 1 << 31;

/// What is open on one stack.
#[derive(Clone, Copy)]
pub(crate) struct Scopes {
    /// Calls that are not to be cut off.
    pub(crate) guards: u32,
    /// The innermost scope.
    pub(crate) last: Option<NonNull<Scope>>,
}

impl Scopes {
    pub(crate) const NONE: Self = Self { guards: 0, last: None };

    /// Calls that are open and are not to be cut off.
    pub(crate) fn open(&self) -> u32 {
        self.guards & !KILL_PENDING
    }
}

// SAFETY: the nodes are on a stack; they are reached by the flow of control that is there, or when that
// never goes on by the supervisor, and what is ended by it is `Send`.
unsafe impl Send for Scopes {}

/// A node of the list, with which whatever is to be ended begins.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    outer: Option<NonNull<Scope>>,
    end: End,
    /// Whether it is an exclusion's.
    exclusion: bool,
}

/// What ends a scope with code that never goes on, and may have left pointers to what it had borrowed.
///
/// # Safety
/// The node is one that was made with this function, off its list, and is not used again. Nobody
/// goes on with what was begun in it.
pub(crate) type End = unsafe fn(NonNull<Scope>, Borrowed);

impl Scope {
    /// One that is ended by `end`.
    pub(crate) const fn new(end: End) -> Self {
        Self { outer: None, end, exclusion: false }
    }

    /// One of an exclusion, that is ended by `end`.
    pub(crate) const fn of_exclusion(end: End) -> Self {
        Self { outer: None, end, exclusion: true }
    }

    /// The scope around this one.
    pub(crate) fn outer(&self) -> Option<NonNull<Self>> {
        self.outer
    }

    /// Whether it is an exclusion's.
    pub(crate) fn is_exclusion(&self) -> bool {
        self.exclusion
    }

    /// Ends the scope, and returns the one around it.
    ///
    /// # Safety
    /// The node was on the list of a context that has been given up; it is not used again.
    pub(crate) unsafe fn end(node: NonNull<Self>, borrowed: Borrowed) -> Option<NonNull<Self>> {
        // SAFETY: the stack that the node is on is still as it was left, and the node was made for this
        // function; the rest is the caller's duty.
        unsafe {
            let Self { outer, end, .. } = *node.as_ref();
            end(node, borrowed);
            outer
        }
    }
}

impl Scopes {
    /// Begins a scope.
    ///
    /// # Safety
    /// The node is live until it is [taken off](Self::pop) again.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, node: NonNull<Scope>) {
        // SAFETY: the caller's duty.
        unsafe { (*node.as_ptr()).outer = self.last };
        self.last = Some(node);
    }

    /// Takes the innermost scope off the list.
    #[inline(always)]
    pub(crate) fn pop(&mut self) {
        if let Some(node) = self.last {
            // SAFETY: nodes on the list are live.
            self.last = unsafe { node.as_ref() }.outer;
        }
    }
}
