//! Waiting synchronously, in `main` or in a handler; and keeping others waiting
//!

use crate::{ContextId, Error, System};
use core::time::Duration;
use reflex_runtime::Waiter;

impl System {
    /// An event that the context calling this can wait for: hand its
    /// [identifier](Waiter::event) to whatever is to activate it, and [wait](Waiter::wait).
    ///
    /// While a context waits its other handlers do not run, as one is under way; other contexts'
    /// do.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn waiter(self) -> Result<Waiter, Error> {
        Ok(Waiter::new(self.kernel())?)
    }

    /// Runs `work`, during which no handler of `contexts` runs, whatever its priority; all others may
    /// interrupt the work. What waits for it lends it its priority. Exclusions nest.
    ///
    /// # Errors
    /// When the calling context is one of them, another excludes one of them, or dispatch is
    /// deferred: the work has not been done.
    pub fn exclude<R>(self, contexts: &[ContextId], work: impl FnOnce() -> R) -> Result<R, Error> {
        Ok(self.kernel().exclude(contexts, work)?)
    }

    /// Lets the calling context wait for a time to pass.
    ///
    /// # Errors
    /// As [`System::waiter`].
    pub fn sleep(self, time: Duration) -> Result<(), Error> {
        Ok(self.waiter()?.sleep(time)?)
    }
}
