//! Contexts: who owns state, and whose handlers never run at the same time.

use crate::Error;
use core::fmt;
use reflex_boot::{ContextOptions, Priority, Runtime};

/// A context with state `S`. Handlers of `&mut S` are registered with it, and as no two of its
/// handlers ever run at once, the state needs no lock.
pub struct Context<S> {
    pub(crate) inner: reflex_boot::Context<S>,
    pub(crate) priority: Priority,
}

impl<S> Context<S> {
    /// The kernel's handle of the context.
    pub fn handle(self) -> reflex_boot::Context<S> {
        self.inner
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

impl<S> From<Context<S>> for reflex_boot::Context<S> {
    fn from(context: Context<S>) -> Self {
        context.inner
    }
}

/// A context about to be made; see [`System::context`](crate::System::context).
#[must_use = "a context is made by `build`"]
pub struct ContextBuilder<S> {
    kernel: Runtime,
    options: ContextOptions,
    priority: Priority,
    state: S,
}

impl<S: Send + 'static> ContextBuilder<S> {
    pub(crate) fn new(kernel: Runtime, name: &'static str, state: S) -> Self {
        let options = ContextOptions::new(name);
        Self { kernel, options, priority: Priority::DEFAULT, state }
    }

    /// The priority of registrations that name none; [`Priority::DEFAULT`] unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Bytes of stack; 16 KiB unless said here. An overflow hits a guard page.
    pub fn stack(self, bytes: usize) -> Self {
        Self { options: ContextOptions { stack: bytes, ..self.options }, ..self }
    }

    /// Bytes of event memory; 64 KiB unless said here. The context's handlers, the buffers of its
    /// connections and its own [`PoolBox`](crate::PoolBox)es come from there.
    pub fn memory(self, bytes: usize) -> Self {
        Self { options: ContextOptions { memory: bytes, ..self.options }, ..self }
    }

    /// Makes the context.
    ///
    /// # Errors
    /// When the machine's memory, or the number of contexts, does not allow it.
    pub fn build(self) -> Result<Context<S>, Error> {
        let inner = self.kernel.context(self.options, self.state)?;
        Ok(Context { inner, priority: self.priority })
    }
}
