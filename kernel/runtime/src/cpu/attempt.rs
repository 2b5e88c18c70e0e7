//! A call that can be given up, as it is kept on its caller's stack.

use super::reason::Reason;
use super::scope::Scope;
use super::supervision::Supervision;
use core::cell::Cell;
use core::ptr::NonNull;
use reflex_event::ContextId;

/// A call that can be given up, on its caller's stack.
pub(crate) struct Attempt {
    pub(crate) outer: Option<UnderWay>,
    /// Where to come back to.
    pub(crate) saved: usize,
    /// How many sections were open.
    pub(crate) depth: u32,
    pub(crate) guards: u32,
    /// The innermost scope when it was made.
    pub(crate) scope: Option<NonNull<Scope>>,
    pub(crate) context: ContextId,
    /// What is kept of the owner, if it can be given up. It has a stack of its own then.
    pub(crate) owner: Option<&'static Supervision>,
    pub(crate) reason: Cell<Reason>,
    /// Nanoseconds between two ticks.
    pub(crate) tick: u64,
    /// When the next tick counts, in nanoseconds; 0 before there has been one.
    pub(crate) next: Cell<u64>,
    pub(crate) counted: Cell<u32>,
    /// The kernel's code has used up its stack, the reserve of which is open.
    pub(crate) overflowed: Cell<bool>,
}

/// A call that is under way.
#[derive(Clone, Copy)]
pub(crate) struct UnderWay(pub(crate) NonNull<Attempt>);

// SAFETY: it is looked at in the section in which the call was made, on the same stack.
unsafe impl Send for UnderWay {}
