//! Contexts: owners of state, no two handlers of which ever run at the same time.

use core::fmt;
use reflex_event::{ContextId, Priority};

/// A context with state `S`. Handlers of `&mut S` are registered with it, and as no two of its
/// handlers ever run at once, the state needs no lock.
pub struct Context<S> {
    pub(crate) inner: reflex_event::Context<S>,
    pub(crate) priority: Priority,
}

impl<S> Context<S> {
    /// The context with this handle, and a priority for registrations that name none.
    pub fn from_handle(inner: reflex_event::Context<S>, priority: Priority) -> Self {
        Self { inner, priority }
    }

    /// The kernel's handle of the context.
    pub fn handle(self) -> reflex_event::Context<S> {
        self.inner
    }

    /// The context's name.
    pub fn id(self) -> ContextId {
        self.inner.id()
    }

    /// The priority that registrations get which name none.
    pub fn priority(self) -> Priority {
        self.priority
    }
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Context<S> {}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}", self.inner, self.priority)
    }
}

impl<S> From<Context<S>> for reflex_event::Context<S> {
    fn from(context: Context<S>) -> Self {
        context.inner
    }
}
