//! Registrations that children inherit (A-3.6.4).

use crate::{Context, Error, EventId, System};
use reflex_event::{Error as EventError, Priority};

impl System {
    /// Makes a registration inheritable: a child that [inherits](crate::ContextBuilder::inherit)
    /// calls `register` with its own handle, to register the like with the same source, bound to
    /// its own state. When `event` has ended it is not inherited any more.
    ///
    /// ```ignore
    /// let tick = system.every(SECOND).on(parent, Web::tick)?;
    /// system.make_inheritable(tick.event(), move |child| {
    ///     system.every(SECOND).on(child, Web::tick).map(drop)
    /// })?;
    /// ```
    ///
    /// # Errors
    /// When `event` has ended, or the global heap is exhausted.
    pub fn make_inheritable<S: 'static>(
        self,
        event: EventId,
        register: impl Fn(Context<S>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        Ok(self.kernel().make_inheritable(event, move |inner| {
            let child = Context { inner, priority: Priority::DEFAULT };
            register(child).map_err(|error| match error {
                Error::Event(error) => error,
                _ => EventError::NotAllowed,
            })
        })?)
    }
}
