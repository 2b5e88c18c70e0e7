//! Scopes: what is to be ended when the code in it never comes to its end.
//!
//! Code is given up in the middle: a context's, with all that is on its stack, or a
//! [filter](mod@crate::attempt)'s, on the stack of the context that has activated the event. What the
//! kernel and the library OS had begun there on behalf of others is a list of nodes on that very
//! stack, the innermost first, and giving up ends them in this order: all of a context's, or those
//! that were begun since the filter was called.
//!
//! Beside the list there is a count of [guarded](crate::guard) calls, in which nothing is given up.

use crate::dispatch::with_core;
use crate::section::{Section, section};
use crate::{contain, cpu};
use core::ptr::NonNull;
use reflex_event::Borrowed;

/// The bit of [`Scopes::guards`] that says the context is to be given up as soon as no guarded call
/// is open on its stack. The others count such calls.
pub(crate) const DOOMED: u32 = 1 << 31;

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
        self.guards & !DOOMED
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

/// Runs `work` on what is open on the present stack; it calls nobody.
#[inline(always)]
pub(crate) fn with<R>(cs: &Section, work: impl FnOnce(&mut Scopes) -> R) -> R {
    with_core(cs, |core| match core.running() {
        Some(context) => work(&mut core.machine(context).scopes),
        None => cpu::this().no_context.with(cs, work),
    })
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

    /// A guarded call is over, or lets the context be given up for a while.
    #[inline(always)]
    pub(crate) fn unguard(&mut self) {
        self.guards -= 1;
        if self.guards == DOOMED {
            contain::post();
        }
    }
}

/// Ends the scopes that were begun on the present stack since `outer` was the innermost, whose code
/// never goes on: guarded, since it is the kernel's.
///
/// # Safety
/// Nobody goes on with what was begun since.
pub(crate) unsafe fn end_since(outer: Option<NonNull<Scope>>, borrowed: Borrowed) {
    section(|cs| with(cs, |scopes| scopes.guards += 1));
    loop {
        let next = section(|cs| {
            with(cs, |scopes| {
                let node = scopes.last.filter(|_| scopes.last != outer);
                if node.is_some() {
                    scopes.pop();
                }
                node
            })
        });
        let Some(node) = next else { break };
        // SAFETY: just taken off the list; the rest is the caller's duty.
        unsafe { Scope::end(node, borrowed) };
    }
    section(|cs| with(cs, Scopes::unguard));
}
