//! A handler's registration, under control: of a timer, a signal, a socket, a channel, a kind.

use crate::{DisabledPolicy, Error, EventId, Info, Priority, Runtime};
use core::fmt;
use core::time::Duration;
use reflex_event::EventSystem as Kernel;
use reflex_kind::{Delivery, Shortage};

/// A handler's registration, with what occurs as a `T`: the data of a kind of events, or, for all that is told
/// without data, the number of occurrences. Dropping it changes nothing; copies are of the same registration.
///
/// All calls are legal from any handler, the registration's own included. When it has ended they
/// say [`EventError::Stale`](crate::EventError::Stale).
pub struct Registered<T: Send + 'static = u32> {
    kernel: Runtime,
    told: Told<T>,
}

/// How the handler is told.
enum Told<T: Send + 'static> {
    /// Of a number, of which `data` makes what a filter is asked about.
    Number { event: EventId, data: fn(u32) -> T },
    /// That something waits in a queue, which has it until it is taken: what occurred is never forgotten here.
    Queue { event: EventId, data: fn(u32) -> T },
    /// With data, on its way from a source.
    Data(Delivery<Runtime, T>),
}

impl Registered {
    pub(crate) fn new(kernel: Runtime, event: EventId) -> Self {
        Self { kernel, told: Told::Number { event, data: |count| count } }
    }

    pub(crate) fn of_queue(kernel: Runtime, event: EventId) -> Self {
        Self { kernel, told: Told::Queue { event, data: |count| count } }
    }
}

impl<T: Send + 'static> Registered<T> {
    pub(crate) fn with_data(kernel: Runtime, delivery: Delivery<Runtime, T>) -> Self {
        Self { kernel, told: Told::Data(delivery) }
    }

    /// Does what is to be done in one section on the registration's core.
    fn there<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let core = self.event().core();
        if core == self.kernel.core() {
            return work(self);
        }
        let own = self.clone();
        self.kernel.on_core(core, move || work(&own))?
    }

    /// The registration's identifier.
    pub fn event(&self) -> EventId {
        match &self.told {
            Told::Number { event, .. } | Told::Queue { event, .. } => *event,
            // No code has had this before it was registered.
            Told::Data(delivery) => {
                delivery.event().unwrap_or(EventId { index: u32::MAX, generation: 0 })
            }
        }
    }

    /// Ends the registration; when its handler runs now, it ends its run.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn unregister(&self) -> Result<(), Error> {
        if let Told::Data(delivery) = &self.told {
            delivery.leave();
        }
        Ok(self.kernel.unregister(self.event())?)
    }

    /// Ends the registration; returns how many occurrences its handler was not told of: 0 when
    /// nothing had occurred.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale): it has ended already, a single occurrence has been told.
    pub fn cancel(&self) -> Result<u32, Error> {
        self.there(|it| {
            it.kernel.section(|| {
                let kept = it.keeping().map(Delivery::pending);
                let counted = it.kernel.cancel(it.event())?;
                Ok(kept.unwrap_or(counted))
            })
        })
    }

    /// Forgets what has occurred and has not been told; returns how many occurrences that were. What waits in a
    /// channel's or a socket's queue is not forgotten.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn clean(&self) -> Result<u32, Error> {
        match &self.told {
            Told::Number { event, .. } => Ok(self.kernel.clean(*event)?),
            Told::Queue { event, .. } => Ok(self.kernel.look_up(*event).map(|_| 0)?),
            Told::Data(delivery) => {
                let counted = self.kernel.clean(self.event())?;
                let dropped = delivery.clean();
                Ok(if delivery.only_counts() { counted } else { dropped })
            }
        }
    }

    /// Keeps the handler from being run until the registration is enabled again; `meanwhile` says
    /// what becomes of occurrences, those included that it has not been told of. What is in a channel's or a socket's
    /// queue waits there, whatever is said.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn disable(&self, meanwhile: DisabledPolicy) -> Result<(), Error> {
        let event = self.event();
        let delivery = match &self.told {
            Told::Number { .. } => return Ok(self.kernel.disable(event, meanwhile)?),
            Told::Queue { .. } => return Ok(self.kernel.disable(event, DisabledPolicy::Keep)?),
            Told::Data(delivery) => delivery,
        };
        self.kernel.section(|| {
            let mut dropped = 0;
            if meanwhile == DisabledPolicy::Keep {
                self.kernel.disable(event, DisabledPolicy::Keep)?;
            } else {
                // Those that are counted are counted where the data is dropped.
                let counted = self.kernel.clean(event)?;
                self.kernel.disable(event, DisabledPolicy::Discard)?;
                dropped = if delivery.only_counts() { counted } else { 0 };
            }
            delivery.disable(meanwhile, dropped);
            Ok(())
        })
    }

    /// Enables the registration; returns how many occurrences were counted meanwhile and are not
    /// told.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn enable(&self) -> Result<u32, Error> {
        self.there(|it| {
            it.kernel.section(|| {
                let counted = it.kernel.enable(it.event())?;
                Ok(match &it.told {
                    Told::Number { .. } | Told::Queue { .. } => counted,
                    Told::Data(delivery) => delivery.enable(),
                })
            })
        })
    }

    /// What the registration is at present.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn look_up(&self) -> Result<Info, Error> {
        self.there(|it| {
            it.kernel.section(|| {
                let mut info = it.kernel.look_up(it.event())?;
                if let Told::Data(delivery) = &it.told {
                    info.disabled = delivery.meanwhile().or(info.disabled);
                }
                info.pending = it.keeping().map_or(info.pending, Delivery::pending);
                Ok(info)
            })
        })
    }

    /// Changes the priority of the handler's runs; what is pending moves with it.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale).
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        self.there(move |it| {
            it.kernel.section(|| {
                it.kernel.set_priority(it.event(), priority)?;
                if let Told::Data(delivery) = &it.told {
                    delivery.set_priority(priority);
                }
                Ok(())
            })
        })
    }

    /// From now on only occurrences count for which `filter` says so, by their data, or by how many there are at
    /// once. It is asked where they occur, with dispatch deferred: it is to be short. What goes wrong in it is the
    /// failure of the handler's context, and then the occurrence is forgotten.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn set_filter(&self, filter: impl Fn(&T) -> bool + Send + 'static) -> Result<(), Error> {
        match &self.told {
            Told::Number { event, data } | Told::Queue { event, data } => {
                let data = *data;
                Ok(self.kernel.filter(*event, move |count| filter(&data(count)))?)
            }
            Told::Data(delivery) => {
                self.kernel.look_up(self.event())?;
                Ok(delivery.set_filter(Some(filter))?)
            }
        }
    }

    /// Lets every occurrence count again.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn lift_filter(&self) -> Result<(), Error> {
        match &self.told {
            Told::Number { event, .. } | Told::Queue { event, .. } => {
                Ok(self.kernel.lift_filter(*event)?)
            }
            Told::Data(delivery) => {
                self.kernel.look_up(self.event())?;
                Ok(delivery.set_filter(None::<fn(&T) -> bool>)?)
            }
        }
    }

    /// Sets, or lifts, the time in which the event is to occur, from now on and from each
    /// occurrence. When it does not, a handler that is told numbers runs with a count of 0; of those of a kind one
    /// registered by [`within`](crate::Subscription::within) is told.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory),
    /// [`EventError::TableFull`](crate::EventError::TableFull).
    pub fn set_time_out(&self, within: Option<Duration>) -> Result<(), Error> {
        Ok(self.kernel.set_time_out(self.event(), within)?)
    }

    /// Sets, or lifts, the time from an occurrence to the end of the run of the handler that is told of it, in
    /// whole microseconds, up to 71 minutes. What has taken longer is told to its context as
    /// [`Trouble::DeadlineMissed`](crate::Trouble::DeadlineMissed).
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale),
    /// [`EventError::OutOfMemory`](crate::EventError::OutOfMemory).
    pub fn set_deadline(&self, within: Option<Duration>) -> Result<(), Error> {
        Ok(self.kernel.set_deadline(self.event(), within)?)
    }

    /// Changes what becomes of data that finds no room; a source that is held up tries again. A number always finds
    /// room.
    pub fn set_shortage(&self, shortage: Shortage) {
        if let Told::Data(delivery) = &self.told {
            delivery.set_shortage(shortage);
        }
    }

    /// Lets a source that is held up try again.
    pub fn retry(&self) {
        if let Told::Data(delivery) = &self.told {
            delivery.retry();
        }
    }

    /// Occurrences that were dropped for want of room.
    pub fn shed(&self) -> u64 {
        match &self.told {
            Told::Number { .. } | Told::Queue { .. } => 0,
            Told::Data(delivery) => delivery.shed(),
        }
    }

    /// Where the data of occurrences is kept, if it is: the kernel has their number otherwise.
    fn keeping(&self) -> Option<&Delivery<Runtime, T>> {
        match &self.told {
            Told::Data(delivery) if !delivery.only_counts() => Some(delivery),
            _ => None,
        }
    }
}

impl<T: Send + 'static> Clone for Registered<T> {
    fn clone(&self) -> Self {
        let told = match &self.told {
            Told::Number { event, data } => Told::Number { event: *event, data: *data },
            Told::Queue { event, data } => Told::Queue { event: *event, data: *data },
            Told::Data(delivery) => Told::Data(delivery.clone()),
        };
        Self { told, ..*self }
    }
}

impl<T: Send + 'static> PartialEq for Registered<T> {
    fn eq(&self, other: &Self) -> bool {
        self.event() == other.event()
    }
}

impl<T: Send + 'static> Eq for Registered<T> {}

impl<T: Send + 'static> fmt::Debug for Registered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.event())
    }
}
