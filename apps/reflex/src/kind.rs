//! Kinds of events: one module each, behind one trait.
//!
//! A kind of one's own is an implementation of [`Kind`], usually around a [`System::source`]; the
//! guide in `apps/libos/kind/GUIDE.md` adds one. [`System::subscribe`] registers handlers with
//! any of them.
//!
//! [`System::source`]: crate::System::source
//! [`System::subscribe`]: crate::System::subscribe

mod console;
mod line;
mod monitor;
mod pressure;
mod shared_signal;
mod shared_timer;
mod source_event;
mod source_timer;

pub use console::{Console, ConsoleBytes};
pub use line::Line;
pub use monitor::Monitor;
pub use pressure::{Memory, Pressure, Watermarks};
pub use reflex_kind::{Accumulate, Counted, Each, Kind, Latest, Sharing, Shortage};
pub use shared_signal::SharedSignal;
pub use shared_timer::{Expired, SharedTimer};

use crate::{Error, Runtime, Shared, System};

/// What can occur, and the registrations that are told; see [`reflex_kind::Source`].
pub type Source<T> = reflex_kind::Source<Runtime, T>;

impl System {
    /// A source of occurrences with data, to be [delivered](reflex_kind::Source::deliver) by any
    /// code that has it. It goes to every registration; one that cannot keep pace is given the last
    /// data and the number of occurrences.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn source<T: Clone + Send + 'static>(self) -> Result<Source<T>, Error> {
        Ok(Source::latest(&self.kernel(), self.system_context()?)?)
    }

    /// [`source`](Self::source) for plain data, which is told to many in less time: copying it
    /// takes no code of an application's, which would have to be contained.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn plain_source<T: Copy + Send + 'static>(self) -> Result<Source<T>, Error> {
        Ok(Source::plain(&self.kernel(), self.system_context()?)?)
    }

    /// [`source`](Self::source) for data that is there once, in a context's event memory ([`EventSystem::pool`]):
    /// each registration is given a share of it, and the last to drop its own drops the data.
    ///
    /// [`EventSystem::pool`]: reflex_event::EventSystem::pool
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn shared_source<T: Send + Sync + 'static>(self) -> Result<Source<Shared<T>>, Error> {
        Ok(Source::shared(&self.kernel(), self.system_context()?)?)
    }

    /// A source that hands on each occurrence: up to `capacity`, at least 1, wait for registrations
    /// that cannot keep pace. Then it takes no more, until `resume` is called.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn queue<T: Clone + Send + 'static>(
        self,
        capacity: usize,
        resume: impl Fn() + Send + Sync + 'static,
    ) -> Result<Source<T>, Error> {
        Ok(Source::queued(&self.kernel(), self.system_context()?, capacity, resume)?)
    }

    /// A source that goes to one registration. It takes no more when that has no room, until
    /// `resume` is called.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn exclusive<T: Send + 'static>(
        self,
        resume: impl Fn() + Send + Sync + 'static,
    ) -> Result<Source<T>, Error> {
        Ok(Source::exclusive(&self.kernel(), self.system_context()?, resume)?)
    }
}
