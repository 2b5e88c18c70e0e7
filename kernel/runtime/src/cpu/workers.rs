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
/// The place is that of the child's chair, none of the child's handlers is under way, and its memory
/// may be used again if it is said so.
pub(crate) type Restore = unsafe fn(NonNull<()>, &'static Pool, Reuse) -> Result<Loose, Error>;

/// What is kept with each child.
#[derive(Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) pool: &'static Pool,
    /// Free bytes of its pool when it is idle.
    pub(crate) whole: usize,
    pub(crate) chair: NonNull<()>,
    pub(crate) restore: Restore,
}

// SAFETY: the chair is looked at by its child's own handlers, or by the supervisor when none of these
// goes on; here it is a name.
unsafe impl Send for Seat {}

/// All children of one cloner.
pub(crate) struct Crew {
    pub(crate) children: Children<Seat>,
    /// The context with the registrations that the children inherit.
    pub(crate) heir_of: Option<ContextId>,
}

impl Crew {
    pub(crate) fn new(
        front: ContextId,
        children: u16,
        priority: Priority,
        heir_of: Option<ContextId>,
    ) -> Result<Self, Error> {
        Ok(Self { children: Children::new(front, children, priority)?, heir_of })
    }
}

/// A child's place, as its context keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Membership {
    pub(crate) crew: &'static Local<Crew>,
    pub(crate) number: u16,
}
