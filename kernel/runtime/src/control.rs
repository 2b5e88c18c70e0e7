//! Control of registrations beyond making and ending them.

use crate::dispatch::{CORE, note, note_if_due, timestamp};
use crate::runtime::Runtime;
use crate::section::section;
use crate::{extras, registry, supervise, table, timer};
use core::time::Duration;
use reflex_event::{ContextId, Error, EventId, Info, Meanwhile, Troubles};

impl Runtime {
    /// Drops what an event has pending; returns how many occurrences that were.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn clean(self, event: EventId) -> Result<u32, Error> {
        section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let core = unsafe { CORE.get() };
            let cleaned = core.clean(event)?;
            // What was pending may have been what kept the running context running.
            note_if_due(core);
            Ok(cleaned)
        })
    }

    /// Ends a registration; returns how many occurrences its handler was not told of.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn cancel(self, event: EventId) -> Result<u32, Error> {
        table::end(event)
    }

    /// Keeps an event's handler from being run until it is enabled again; `meanwhile` says what
    /// becomes of occurrences, those that are pending included.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn disable(self, event: EventId, meanwhile: Meanwhile) -> Result<(), Error> {
        section(|| {
            // SAFETY: in a section, and the borrow ends in this statement.
            note(unsafe { CORE.get() }.disable(event, meanwhile)?);
            Ok(())
        })
    }

    /// Enables an event; returns how many occurrences were counted meanwhile and are not
    /// delivered.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn enable(self, event: EventId) -> Result<u32, Error> {
        section(|| {
            // SAFETY: in a section, and the borrow ends in this statement.
            let (counted, outcome) = unsafe { CORE.get() }.enable(event, timestamp())?;
            note(outcome);
            Ok(counted)
        })
    }

    /// Looks an event up.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn look_up(self, event: EventId) -> Result<Info, Error> {
        // SAFETY: in a section, and the borrow ends in it.
        section(|| unsafe { CORE.get() }.look_up(event))
    }

    /// From now on an occurrence counts only if `filter`, which is told how many there are at
    /// once, says so. It is asked where the event is activated, with dispatch deferred: it is to
    /// be short. When it panics or faults, the event's context is given up, if that is what becomes of it
    /// when a handler fails; an endless loop in it is the image's end.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`].
    pub fn filter(
        self,
        event: EventId,
        filter: impl Fn(u32) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let info = self.look_up(event)?;
        let (pool, _) = section(|| registry::parts(info.context))?;
        let filter = pool.alloc(filter).map_err(|_| Error::OutOfMemory)?;
        extras::make(event)?;
        let old = section(|| extras::set_filter(event, Some(extras::erase(filter))))?;
        // Not in the section: it may do anything.
        drop(old);
        Ok(())
    }

    /// Lets every occurrence of an event count again.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`].
    pub fn lift_filter(self, event: EventId) -> Result<(), Error> {
        let old = section(|| extras::set_filter(event, None))?;
        // Not in the section: it may do anything.
        drop(old);
        Ok(())
    }

    /// From now on, when an event has not occurred `within` a time, counted from now and from each
    /// occurrence, its handler runs all the same and is told a count of 0. `None` lifts that.
    ///
    /// After a time-out the time begins anew with the next occurrence.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`], [`Error::TableFull`].
    pub fn set_time_out(self, event: EventId, within: Option<Duration>) -> Result<(), Error> {
        extras::make(event)?;
        timer::with_room(|| extras::set_time_out(event, within))
    }

    /// Has a context's handlers wait as soon as none of them is under way; true when that is so
    /// now. What is activated meanwhile is kept.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when it has been given up and not been restarted.
    pub fn stop(self, context: ContextId) -> Result<bool, Error> {
        section(|| {
            supervise::up(context)?;
            // SAFETY: in a section, and the borrow ends in this statement.
            unsafe { CORE.get() }.stop(context)
        })
    }

    /// Lets a context's handlers run again that was stopped.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when it was not stopped, or has been given up and not
    /// been restarted.
    pub fn start(self, context: ContextId) -> Result<(), Error> {
        section(|| {
            // What has been given up is held too, and not until somebody starts it.
            supervise::up(context)?;
            // SAFETY: in a section, and the borrow ends in this statement.
            note(unsafe { CORE.get() }.start(context)?);
            Ok(())
        })
    }

    /// From now on trouble of a context is told by an activation of `event`, which is one of its
    /// own; its count says how much trouble there is to be [taken](Self::take_troubles).
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NoContext`], [`Error::NotAllowed`].
    pub fn set_notice(self, context: ContextId, event: Option<EventId>) -> Result<(), Error> {
        // SAFETY: in a section, and the borrow ends in it.
        section(|| unsafe { CORE.get() }.set_notice(context, event))
    }

    /// What trouble a context has had since this was last asked.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn take_troubles(self, context: ContextId) -> Result<Troubles, Error> {
        // SAFETY: in a section, and the borrow ends in it.
        section(|| unsafe { CORE.get() }.take_troubles(context))
    }
}
