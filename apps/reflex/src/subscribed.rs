//! A registration with a kind of event, under control.

use crate::{DisabledPolicy, Error, EventId, Info, Priority, Runtime};
use core::fmt;
use core::time::Duration;
use reflex_event::EventSystem as Kernel;
use reflex_kind::{Delivery, Shortage};

/// A handler's registration with a kind of event that comes with a `T`. Dropping it changes
/// nothing.
///
/// All calls are legal from any handler, the registration's own included. When it has ended they
/// say [`EventError::Stale`](crate::EventError::Stale).
pub struct Subscribed<T: Send + 'static> {
    kernel: Runtime,
    delivery: Delivery<Runtime, T>,
}

impl<T: Send + 'static> Subscribed<T> {
    pub(crate) fn new(kernel: Runtime, delivery: Delivery<Runtime, T>) -> Self {
        Self { kernel, delivery }
    }

    /// The registration's identifier.
    pub fn event(&self) -> EventId {
        // No code has had this before it was registered.
        self.delivery.event().unwrap_or(EventId { index: u32::MAX, generation: 0 })
    }

    /// Ends the registration; when its handler runs now, it ends its run.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn unregister(&self) -> Result<(), Error> {
        self.delivery.leave();
        Ok(self.kernel.unregister(self.event())?)
    }

    /// Ends the registration; returns how many occurrences its handler was not told of: 0 when
    /// nothing had occurred.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale): it has ended already, a single occurrence has been told.
    pub fn cancel(&self) -> Result<u32, Error> {
        self.kernel.section(|| {
            let pending = self.delivery.pending();
            let counted = self.kernel.cancel(self.event())?;
            Ok(if self.delivery.only_counts() { counted } else { pending })
        })
    }

    /// Forgets what has occurred and has not been told; returns how many occurrences that were.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn clean(&self) -> Result<u32, Error> {
        let counted = self.kernel.clean(self.event())?;
        let dropped = self.delivery.clean();
        Ok(if self.delivery.only_counts() { counted } else { dropped })
    }

    /// Keeps the handler from being run until the registration is enabled again; `meanwhile` says
    /// what becomes of occurrences, those included that it has not been told of.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn disable(&self, meanwhile: DisabledPolicy) -> Result<(), Error> {
        self.kernel.section(|| {
            let event = self.event();
            let mut dropped = 0;
            if meanwhile == DisabledPolicy::Keep {
                self.kernel.disable(event, DisabledPolicy::Keep)?;
            } else {
                // Those that are counted are counted where the data is dropped.
                let counted = self.kernel.clean(event)?;
                self.kernel.disable(event, DisabledPolicy::Discard)?;
                dropped = if self.delivery.only_counts() { counted } else { 0 };
            }
            self.delivery.disable(meanwhile, dropped);
            Ok(())
        })
    }

    /// Enables the registration; returns how many occurrences were counted meanwhile and are not
    /// told.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn enable(&self) -> Result<u32, Error> {
        self.kernel.section(|| {
            self.kernel.enable(self.event())?;
            Ok(self.delivery.enable())
        })
    }

    /// What the registration is at present.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn look_up(&self) -> Result<Info, Error> {
        self.kernel.section(|| {
            let mut info = self.kernel.look_up(self.event())?;
            if !self.delivery.only_counts() {
                info.pending = self.delivery.pending();
            }
            info.disabled = self.delivery.meanwhile().or(info.disabled);
            Ok(info)
        })
    }

    /// Changes the priority of the handler's runs; what is pending moves with it.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        self.kernel.section(|| {
            self.kernel.set_priority(self.event(), priority)?;
            self.delivery.set_priority(priority);
            Ok(())
        })
    }

    /// From now on only occurrences count for which `filter` says so, by their data; see
    /// [`Subscription::filter`](crate::Subscription::filter).
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn set_filter<F>(&self, filter: F) -> Result<(), Error>
    where
        F: Fn(&T) -> bool + Send + 'static,
    {
        self.kernel.look_up(self.event())?;
        Ok(self.delivery.set_filter(Some(filter))?)
    }

    /// Lets every occurrence count again.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn lift_filter(&self) -> Result<(), Error> {
        self.kernel.look_up(self.event())?;
        Ok(self.delivery.set_filter(None::<fn(&T) -> bool>)?)
    }

    /// Sets, or lifts, the time in which the event is to occur, from now on and from each
    /// occurrence. Only a handler registered by [`Within`](crate::Within) is told when it does
    /// not.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory),
    /// [`EventError::TableFull`](crate::EventError::TableFull).
    pub fn set_time_out(&self, within: Option<Duration>) -> Result<(), Error> {
        Ok(self.kernel.set_time_out(self.event(), within)?)
    }

    /// Changes what becomes of occurrences that find no room; a source that is held up tries
    /// again.
    pub fn set_shortage(&self, shortage: Shortage) {
        self.delivery.set_shortage(shortage);
    }

    /// Lets a source that is held up try again.
    pub fn retry(&self) {
        self.delivery.retry();
    }

    /// Occurrences that were dropped for want of room.
    pub fn shed(&self) -> u64 {
        self.delivery.shed()
    }
}

impl<T: Send + 'static> Clone for Subscribed<T> {
    fn clone(&self) -> Self {
        Self::new(self.kernel, self.delivery.clone())
    }
}

impl<T: Send + 'static> fmt::Debug for Subscribed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscribed({:?})", self.delivery)
    }
}
