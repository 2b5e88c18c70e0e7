//! Values that several contexts share.

use crate::{Context, Error, System};
use reflex_event::Priority;
use reflex_runtime::Mutex;

impl System {
    /// A mutex in the memory of `home`: a value that handlers of events up to the priority `ceiling` share, one at
    /// a time. Nothing spins, and nothing below the ceiling is begun while it is held; so it is locked for as short
    /// a time as possible. A holder that fails poisons it.
    ///
    /// What belongs to one context needs none of this, and contexts that need not share may
    /// [send](System::channel).
    ///
    /// # Errors
    /// When the context's memory does not allow it.
    pub fn mutex<S, T: Send + 'static>(
        self,
        home: Context<S>,
        ceiling: Priority,
        value: T,
    ) -> Result<Mutex<T>, Error> {
        Ok(Mutex::new(self.kernel(), home.inner, ceiling, value)?)
    }
}
