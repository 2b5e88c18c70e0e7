//! Events taken in batches (K-4).

use crate::{Context, Error, Registered, System};
use reflex_event::{EventSystem as Kernel, Registration};
use reflex_runtime::{Completions, ContextOptions};

impl System {
    /// A completion ring of `N` places, a power of two: its events call no handler, but are taken
    /// by any code that has a copy of it.
    ///
    /// # Errors
    /// When memory, or the number of contexts, does not allow it.
    pub fn completions<const N: usize>(self, name: &'static str) -> Result<Completions, Error> {
        let memory = ContextOptions::new(name).memory + N * 16;
        let options = ContextOptions { memory, ..ContextOptions::new(name) };
        Ok(Completions::new::<N>(self.kernel(), options)?)
    }

    /// From now on `handler` runs in `context` when there is something to take from `ring`, once
    /// after each time that a reader has found less than it asked for.
    ///
    /// # Errors
    /// When memory or a table does not allow one more registration.
    pub fn on_completions<S, F>(
        self,
        ring: Completions,
        context: Context<S>,
        handler: F,
    ) -> Result<Registered, Error>
    where
        S: 'static,
        F: Fn(&mut S, Completions) + Send + 'static,
    {
        let registration = Registration { priority: context.priority, ..Registration::default() };
        let kernel = self.kernel();
        let event =
            kernel.register(context.inner, registration, move |state, _| handler(state, ring))?;
        ring.notify(Some(event))?;
        Ok(Registered::new(kernel, event))
    }
}
