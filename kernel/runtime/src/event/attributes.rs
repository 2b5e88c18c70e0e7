//! How that is set and ended which a few registrations have beside a handler: a filter, a time-out, a timer.

use crate::context::{policy, registry};
use crate::cpu::attributes::{Attributes, Filter, NO_TIMER};
use crate::cpu::handler::registered;
use crate::cpu::retired::{Husk, Retired};
use crate::cpu::timers::Due;
use crate::dispatch::event_core::{note, note_if_due, timestamp, with_core};
use crate::dispatch::section::{Section, section};
use crate::dispatch::timer;
use core::time::Duration;
use reflex_event::{Attribute, Error, EventId, TimerId};
use reflex_memory::Lent;

/// The attributes of a registration. In the section in which the
/// result is in use the registration does not end.
pub(crate) fn of(cs: &Section, event: EventId) -> Result<&Attributes, Error> {
    let handler = with_core(cs, |core| registered(cs, core, event))?;
    if let Some(attributes) = handler.attributes() {
        return Ok(attributes);
    }
    let context = with_core(cs, |core| core.look_up(event))?.context;
    let (pool, _) = registry::state_and_pool(cs, context)?;
    let attributes = pool.alloc(Attributes::default()).map_err(|_| Error::OutOfMemory)?;
    drop(handler.give_attributes(cs, attributes));
    handler.attributes().ok_or(Error::OutOfMemory)
}

/// Makes the attributes of a registration if it has none: to be called before the section in which
/// something is set, which is then the shorter.
///
/// # Errors
/// [`Error::Stale`], [`Error::OutOfMemory`].
pub(crate) fn make(event: EventId) -> Result<(), Error> {
    let pool = section(|cs| {
        let context = with_core(cs, |core| core.look_up(event))?.context;
        let made = present(cs, event)?.is_some();
        registry::state_and_pool(cs, context).map(|(pool, _)| (!made).then_some(pool))
    })?;
    let Some(pool) = pool else { return Ok(()) };
    let attributes = pool.alloc(Attributes::default()).map_err(|_| Error::OutOfMemory)?;
    let unneeded = section(|cs| {
        // The pool is its context's, which a registration does not change.
        let handler = with_core(cs, |core| registered(cs, core, event));
        handler.map(|handler| handler.give_attributes(cs, attributes))
    });
    unneeded.map(drop)
}

/// Has the event watched as long as there is something to watch for.
fn watch(cs: &Section, event: EventId, attributes: &Attributes) -> Result<(), Error> {
    let context = with_core(cs, |core| core.look_up(event))?.context;
    let watched = attributes.watches() || registry::get(cs, context)?.worker_pool.get(cs).is_some();
    with_core(cs, |core| core.set_attribute(event, Attribute::Watched, watched))
}

/// Gives the event another filter, or none, for the one it had.
pub(crate) fn set_filter(
    cs: &Section,
    event: EventId,
    filter: &mut Option<Lent<Filter>>,
) -> Result<(), Error> {
    let attributes = of(cs, event)?;
    attributes.version.set(attributes.version.get() + 1);
    *filter = attributes.filter.replace(filter.take());
    watch(cs, event, attributes)
}

/// Sets in what time the event is to occur, beginning now and at each occurrence; or lifts that.
///
pub(crate) fn set_time_out(
    cs: &Section,
    event: EventId,
    within: Option<Duration>,
) -> Result<(), Error> {
    let attributes = of(cs, event)?;
    let timer = attributes.time_out.get();
    match within {
        Some(within) => {
            if timer == NO_TIMER {
                attributes.time_out.set(timer::add(cs, Due::TimeOut(event.into_word()))?);
            }
            attributes.within.set(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1));
            attributes.wait_anew(cs)?;
        }
        None => {
            attributes.within.set(0);
            // There may be none. It stays reserved.
            let _ = timer::disarm(cs, timer);
            with_core(cs, |core| -> Result<(), Error> {
                core.forget_time_out(event)?;
                note_if_due(core);
                Ok(())
            })?;
        }
    }
    watch(cs, event, attributes)
}

/// The timer that activates the event, from now on ended with it.
///
/// # Errors
/// [`Error::Exclusive`] when it has one already, [`Error::NotAllowed`] when its owner may have none.
pub(crate) fn add_timer(cs: &Section, event: EventId) -> Result<TimerId, Error> {
    let attributes = of(cs, event)?;
    policy::permit_kind(cs, with_core(cs, |core| core.look_up(event))?.context, "timer")?;
    if timer::exists(cs, attributes.timer.get()) {
        return Err(Error::Exclusive);
    }
    let timer = timer::add(cs, Due::Event(event.into_word()))?;
    attributes.timer.set(timer);
    Ok(timer)
}

impl Attributes {
    /// Gives the timers back: the registration has ended.
    pub(crate) fn end_timers(&self, cs: &Section) {
        // There may be none, or it may have been given back already.
        let _ = timer::remove(cs, self.timer.get());
        let _ = timer::remove(cs, self.time_out.get());
    }

    pub(crate) fn wait_anew(&self, cs: &Section) -> Result<(), Error> {
        if self.within.get() == 0 {
            return Ok(());
        }
        let within = Duration::from_nanos(self.within.get());
        timer::arm(cs, self.time_out.get(), timer::now() + within, None)
    }
}

impl Husk {
    /// Ends what is kept beside the handler, but for a filter.
    pub(crate) fn end_attributes(&self, cs: &Section) {
        if let Some(attributes) = self.header().attributes() {
            attributes.end_timers(cs);
            self.free_extras(cs);
        }
    }

    /// Ends what is kept beside the handler, and drops the filter among it, if there is one, which is
    /// application's code. Not in a section.
    pub(crate) fn drop_filter(&self) {
        if let Some(attributes) = self.header().attributes() {
            let filter = section(|cs| {
                // Before the filter: it may fail, and a timer would be left.
                attributes.end_timers(cs);
                attributes.take_filter(cs)
            });
            drop(filter);
            section(|cs| self.free_extras(cs));
        }
    }
}

impl Retired {
    /// Drops the filter beside it, if there is one, and what it has captured.
    pub(crate) fn drop_all(self) -> Husk {
        self.drop_filter();
        self.drop_captured()
    }
}

/// The time in which an event was to occur is over.
#[cold]
#[inline(never)]
pub(crate) fn timed_out(cs: &Section, event: EventId) -> Result<(), Error> {
    let info = with_core(cs, |core| core.look_up(event))?;
    if info.pending != 0 && info.disabled.is_none() {
        // Its handler has not been told of what did occur. The time is not to go by untold: it
        // begins anew.
        return of(cs, event)?.wait_anew(cs);
    }
    note(with_core(cs, |core| core.time_out(event, timestamp()))?);
    Ok(())
}

/// The attributes that a registration has now, which does not end while the result is in use.
pub(crate) fn present(cs: &Section, event: EventId) -> Result<Option<&Attributes>, Error> {
    Ok(with_core(cs, |core| registered(cs, core, event))?.attributes())
}
