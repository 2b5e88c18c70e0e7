//! Control of registrations beyond making and ending them.

use crate::context::{registry, supervision};
use crate::cpu::attributes::erase;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{note, note_if_due, timestamp, with_core};
use crate::dispatch::section::{Section, section};
use crate::dispatch::timer;
use crate::event::elsewhere::{ask, is_there};
use crate::event::{attributes, calls, retire, table};
use core::time::Duration;
use reflex_event::{Attribute, ContextId, DisabledPolicy, Error, EventId, Info, Troubles};

/// Drops what an event of this core has pending.
#[inline(always)]
fn clean_here(event: EventId) -> Result<u32, Error> {
    section(|cs| {
        with_core(cs, |core| {
            let cleaned = core.clean(event)?;
            // What was pending may have been what kept the running context running.
            note_if_due(core);
            Ok(cleaned)
        })
    })
}

/// Disables an event of this core.
#[inline(always)]
fn disable_here(event: EventId, meanwhile: DisabledPolicy) -> Result<(), Error> {
    section(|cs| {
        note(with_core(cs, |core| core.disable(event, meanwhile))?);
        Ok(())
    })
}

/// Enables an event of this core.
#[inline(always)]
fn enable_here(event: EventId) -> Result<u32, Error> {
    section(|cs| {
        let (counted, outcome) = with_core(cs, |core| core.enable(event, timestamp))?;
        note(outcome);
        Ok(counted)
    })
}

/// Looks an event of this core up.
#[inline(always)]
fn look_up_here(event: EventId) -> Result<Info, Error> {
    section(|cs| with_core(cs, |core| core.look_up(event)))
}

impl Runtime {
    /// Drops what an event has pending; returns how many occurrences that were.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline(always)]
    pub fn clean(self, event: EventId) -> Result<u32, Error> {
        let done = clean_here(event);
        if is_there(event.core(), &done) {
            return ask(event.core(), move || clean_here(event));
        }
        done
    }

    /// Ends a registration; returns how many occurrences its handler was not told of.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn cancel(self, event: EventId) -> Result<u32, Error> {
        let done = table::end(event);
        if is_there(event.core(), &done) {
            return ask(event.core(), move || self.cancel(event));
        }
        done
    }

    /// Keeps an event's handler from being run until it is enabled again; `meanwhile` says what
    /// becomes of occurrences, those that are pending included.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline(always)]
    pub fn disable(self, event: EventId, meanwhile: DisabledPolicy) -> Result<(), Error> {
        let done = disable_here(event, meanwhile);
        if is_there(event.core(), &done) {
            return ask(event.core(), move || disable_here(event, meanwhile));
        }
        done
    }

    /// Enables an event; returns how many occurrences were counted meanwhile and are not
    /// delivered.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline(always)]
    pub fn enable(self, event: EventId) -> Result<u32, Error> {
        let done = enable_here(event);
        if is_there(event.core(), &done) {
            return ask(event.core(), move || enable_here(event));
        }
        done
    }

    /// Looks an event up.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline(always)]
    pub fn look_up(self, event: EventId) -> Result<Info, Error> {
        let done = look_up_here(event);
        if is_there(event.core(), &done) {
            return ask(event.core(), move || look_up_here(event));
        }
        done
    }

    /// From now on an occurrence counts only if `filter`, which is told how many there are at
    /// once, says so. It is asked where the event is activated, with dispatch deferred: it is to
    /// be short. When it panics, faults or takes longer than the time budget of the event's context, or
    /// than 100 ms if that has none, that context is given up, if that is what becomes of it when a
    /// handler fails; else the image ends.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`].
    pub fn filter(
        self,
        event: EventId,
        filter: impl Fn(u32) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let info = self.look_up(event)?;
        let (pool, _) = section(|cs| registry::state_and_pool(cs, info.context))?;
        let filter = pool.alloc(filter).map_err(|_| Error::OutOfMemory)?;
        attributes::make(event)?;
        let mut filter = Some(erase(filter));
        let set = section(|cs| attributes::set_filter(cs, event, &mut filter));
        // The old one, or this one when it is refused.
        retire::drop_filter(info.context, filter);
        set
    }

    /// Lets every occurrence of an event count again.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`].
    pub fn lift_filter(self, event: EventId) -> Result<(), Error> {
        let context = self.look_up(event)?.context;
        let mut filter = None;
        let set = section(|cs| attributes::set_filter(cs, event, &mut filter));
        retire::drop_filter(context, filter);
        set
    }

    /// From now on, when an event has not occurred `within` a time, counted from now and from each
    /// occurrence, its handler runs all the same and is told a count of 0. `None` lifts that.
    ///
    /// After a time-out the time begins anew with the next occurrence.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`], [`Error::TableFull`].
    pub fn set_time_out(self, event: EventId, within: Option<Duration>) -> Result<(), Error> {
        attributes::make(event)?;
        timer::with_room(|cs| attributes::set_time_out(cs, event, within))
    }

    /// From now on the event's handler is to have ended `within` a time from the activation of the
    /// oldest occurrence it is told of. When it has not, [`Trouble::DeadlineMissed`](reflex_event::Trouble::DeadlineMissed) is reported to
    /// its context. `None` lifts that. Times are in whole microseconds, up to 71 minutes.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`].
    pub fn set_deadline(self, event: EventId, within: Option<Duration>) -> Result<(), Error> {
        let micros =
            within.map(|within| u32::try_from(within.as_micros()).unwrap_or(u32::MAX).max(1));
        section(|cs| set_deadline(cs, event, micros.unwrap_or(0)))
    }

    /// Has a context's handlers wait as soon as none of them is under way; true when that is so
    /// now. What is activated meanwhile is kept.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when it has been given up and not been restarted.
    pub fn stop(self, context: ContextId) -> Result<bool, Error> {
        section(|cs| {
            supervision::up(cs, context)?;
            with_core(cs, |core| core.stop(context))
        })
    }

    /// Lets a context's handlers run again that was stopped.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when it was not stopped, or has been given up and not
    /// been restarted.
    pub fn start(self, context: ContextId) -> Result<(), Error> {
        section(|cs| {
            // What has been given up is held too, and not until somebody starts it.
            supervision::up(cs, context)?;
            note(with_core(cs, |core| core.start(context))?);
            Ok(())
        })
    }

    /// From now on trouble of a context is told by an activation of `event`, which is one of its
    /// own; its count says how much trouble there is to be [taken](Self::take_troubles).
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NoContext`], [`Error::NotAllowed`].
    pub fn set_notice(self, context: ContextId, event: Option<EventId>) -> Result<(), Error> {
        section(|cs| with_core(cs, |core| core.set_notice(context, event)))
    }

    /// What trouble a context has had since this was last asked.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn take_troubles(self, context: ContextId) -> Result<Troubles, Error> {
        section(|cs| with_core(cs, |core| core.take_troubles(context)))
    }
}

/// Sets a deadline in microseconds, or lifts it if that is 0.
fn set_deadline(cs: &Section, event: EventId, micros: u32) -> Result<(), Error> {
    attributes::of(cs, event)?.deadline.set(micros);
    with_core(cs, |core| core.set_attribute(event, Attribute::Timed, micros != 0))?;
    calls::route_anew(cs, event)
}
