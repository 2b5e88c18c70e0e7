//! The children of a cloner, as they are kept.

use super::home::Reuse;
use super::local::Local;
use super::loose::Loose;
use core::ptr::NonNull;
use reflex_event::{Children, ContextId, Error, Priority};
use reflex_memory::Pool;

/// How the start handler of a child that was given up is made anew, in a pool that may be another, and
/// on a state that is made in another place unless its memory may be used again.
///
/// # Safety
/// The place is that of the child's slot, none of the child's handlers is under way, and its memory
/// may be used again if it is said so.
pub(crate) type Restore = unsafe fn(NonNull<()>, &'static Pool, Reuse) -> Result<Loose, Error>;

/// What is kept with each child.
#[derive(Clone, Copy)]
pub(crate) struct Worker {
    pub(crate) pool: &'static Pool,
    /// Free bytes of its pool when it is idle.
    pub(crate) whole: usize,
    pub(crate) slot: NonNull<()>,
    pub(crate) restore: Restore,
}

// SAFETY: the slot is looked at by its child's own handlers, or by the supervisor when none of these
// goes on; here it is a name.
unsafe impl Send for Worker {}

/// All children of one cloner.
pub(crate) struct WorkerPool {
    pub(crate) children: Children<Worker>,
    /// The context with the registrations that the children inherit.
    pub(crate) inherits_from: Option<ContextId>,
}

impl WorkerPool {
    pub(crate) fn new(
        queueing: ContextId,
        children: u16,
        priority: Priority,
        inherits_from: Option<ContextId>,
    ) -> Result<Self, Error> {
        Ok(Self { children: Children::new(queueing, children, priority)?, inherits_from })
    }
}

/// A child's place, as its context keeps it.
#[derive(Clone, Copy)]
pub(crate) struct WorkerRef {
    pub(crate) workers: &'static Local<WorkerPool>,
    pub(crate) number: u16,
}
