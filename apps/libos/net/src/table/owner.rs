//! Contexts that own something here.

use reflex_event::ContextId;

/// A context, and how often it had been given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    pub(crate) context: ContextId,
    pub(crate) failures: u64,
}
