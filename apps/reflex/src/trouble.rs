//! Trouble inside the event system, told to its owner as an event (A-3.5.2, K-7).

use crate::{Context, Error, System};
use reflex_boot::{EventId, Kernel, Priority, Registration, Trouble};

impl System {
    /// From now on `handler` is told of trouble that `context` has: a kind, and how often it
    /// occurred since it was last told. Telling needs no memory, and no limit keeps it back.
    /// Another handler may be named later, by the same call; then this one is not told any more.
    ///
    /// # Errors
    /// When memory or a table does not allow one more registration.
    pub fn on_trouble<S, F>(
        self,
        context: Context<S>,
        priority: Priority,
        handler: F,
    ) -> Result<EventId, Error>
    where
        S: 'static,
        F: Fn(&mut S, Trouble, u32) + Send + 'static,
    {
        let (kernel, id) = (self.kernel(), context.inner.id());
        let registration = Registration { priority, ..Registration::default() };
        let event = kernel.register(context.inner, registration, move |state, _| {
            for (trouble, count) in kernel.take_troubles(id).unwrap_or_default().iter() {
                handler(state, trouble, count);
            }
        })?;
        kernel.set_notice(id, Some(event))?;
        Ok(event)
    }
}
