//! A handler's registration, under control: of a timer, a signal, and all that is told without data.
//! [`Subscribed`](crate::Subscribed) has the same for kinds of events that come with data.

use crate::{DisabledPolicy, Error, EventId, Info, Priority, Runtime, System};
use core::fmt;
use core::time::Duration;
use reflex_event::EventSystem as Kernel;

/// A handler's registration. Dropping it changes nothing.
///
/// All calls are legal from any handler, the registration's own included. When it has ended they
/// say [`EventError::Stale`](crate::EventError::Stale).
#[derive(Clone, Copy)]
pub struct Registered {
    kernel: Runtime,
    event: EventId,
}

impl System {
    /// The registration with this identifier, which [timers](crate::Timer::event), [signals](crate::Signal::event) and
    /// [activations](crate::Activation::event) tell.
    pub fn registration(self, event: EventId) -> Registered {
        Registered::new(self.kernel(), event)
    }
}

impl Registered {
    pub(crate) fn new(kernel: Runtime, event: EventId) -> Self {
        Self { kernel, event }
    }

    /// The registration's identifier.
    pub fn event(self) -> EventId {
        self.event
    }

    /// Ends the registration; when its handler runs now, it ends its run.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn unregister(self) -> Result<(), Error> {
        Ok(self.kernel.unregister(self.event)?)
    }

    /// Ends the registration; returns how many occurrences its handler was not told of.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn cancel(self) -> Result<u32, Error> {
        Ok(self.kernel.cancel(self.event)?)
    }

    /// Forgets what has occurred and has not been told; returns how many occurrences that were.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn clean(self) -> Result<u32, Error> {
        Ok(self.kernel.clean(self.event)?)
    }

    /// Keeps the handler from being run until the registration is enabled again; `meanwhile` says
    /// what becomes of occurrences, those included that it has not been told of.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn disable(self, meanwhile: DisabledPolicy) -> Result<(), Error> {
        Ok(self.kernel.disable(self.event, meanwhile)?)
    }

    /// Enables the registration; returns how many occurrences were counted meanwhile and are not
    /// told.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn enable(self) -> Result<u32, Error> {
        Ok(self.kernel.enable(self.event)?)
    }

    /// What the registration is at present.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn look_up(self) -> Result<Info, Error> {
        Ok(self.kernel.look_up(self.event)?)
    }

    /// Changes the priority of the handler's runs; what is pending moves with it.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn set_priority(self, priority: Priority) -> Result<(), Error> {
        Ok(self.kernel.set_priority(self.event, priority)?)
    }

    /// From now on occurrences count only if `filter`, which is told how many there are at once, says so.
    /// It is asked where they occur, with dispatch deferred: it is to be short.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn set_filter(self, filter: impl Fn(u32) -> bool + Send + 'static) -> Result<(), Error> {
        Ok(self.kernel.filter(self.event, filter)?)
    }

    /// Lets every occurrence count again.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn lift_filter(self) -> Result<(), Error> {
        Ok(self.kernel.lift_filter(self.event)?)
    }

    /// Sets, or lifts, the time in which the event is to occur, from now on and from each
    /// occurrence. When it does not the handler runs, and is told a count of 0.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory),
    /// [`EventError::TableFull`](crate::EventError::TableFull).
    pub fn set_time_out(self, within: Option<Duration>) -> Result<(), Error> {
        Ok(self.kernel.set_time_out(self.event, within)?)
    }

    /// Sets, or lifts, the time from an occurrence to the end of the run of the handler that is told of it, in
    /// whole microseconds, up to 71 minutes. What has taken longer is told to its context as
    /// [`Trouble::DeadlineMissed`](crate::Trouble::DeadlineMissed).
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn set_deadline(self, within: Option<Duration>) -> Result<(), Error> {
        Ok(self.kernel.set_deadline(self.event, within)?)
    }
}

impl From<Registered> for EventId {
    fn from(registered: Registered) -> Self {
        registered.event
    }
}

impl PartialEq for Registered {
    fn eq(&self, other: &Self) -> bool {
        self.event == other.event
    }
}

impl Eq for Registered {}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.event)
    }
}
