//! What a few registrations have beside a handler: a filter, a time-out, a timer.

use crate::attempt::attempt;
use crate::bound::Call;
use crate::dispatch::{note, note_if_due, timestamp, with_core};
use crate::section::{Section, section};
use crate::timer::{self, Due};
use crate::{crew, policy, registry};
use core::cell::Cell;
use core::time::Duration;
use reflex_event::{Error, EventId, TimerId, Trait};
use reflex_memory::Lent;

/// Says of a number of occurrences whether they count.
pub(crate) type Filter = dyn Fn(u32) -> bool + Send;

/// No timer. Generations of timers are odd.
const NO_TIMER: TimerId = TimerId { index: 0, generation: 0 };

///
pub(crate) struct Extras {
    /// Taken out while it is asked.
    filter: Cell<Option<Lent<Filter>>>,
    /// Changes with the filter.
    version: Cell<u32>,
    /// What tells that the event did not occur in time.
    time_out: Cell<TimerId>,
    /// The time it has for that, in nanoseconds; 0 for any.
    within: Cell<u64>,
    /// The timer that activates the event.
    timer: Cell<TimerId>,
    /// In what time its handler is to have ended, in microseconds; 0 in any.
    pub(crate) deadline: Cell<u32>,
    /// What dispatch called before the call was diverted because of that.
    pub(crate) diverted: Cell<Option<Call>>,
}

// Two granules, not four: every timer has this.
const _: () = assert!(size_of::<Extras>() <= 64);

impl Default for Extras {
    fn default() -> Self {
        Self {
            filter: Cell::new(None),
            version: Cell::new(0),
            time_out: Cell::new(NO_TIMER),
            within: Cell::new(0),
            timer: Cell::new(NO_TIMER),
            deadline: Cell::new(0),
            diverted: Cell::new(None),
        }
    }
}

/// Forgets what kind of filter it is.
pub(crate) fn erase(filter: Lent<impl Fn(u32) -> bool + Send + 'static>) -> Lent<Filter> {
    let (filter, pool) = filter.into_raw();
    // SAFETY: given up in the line above; the same pointer, seen as one to a trait object.
    unsafe { Lent::from_raw(filter as core::ptr::NonNull<Filter>, pool) }
}

/// The extras of a registration. In the section in which the
/// result is in use the registration does not end.
pub(crate) fn of<'a>(cs: &Section, event: EventId) -> Result<&'a Extras, Error> {
    let context = with_core(cs, |core| core.look_up(event))?.context;
    let (pool, _) = registry::parts(cs, context)?;
    let handler = with_core(cs, |core| core.handler(event))?;
    // SAFETY: a live registration's handler is live, and was bound in that pool.
    unsafe { handler.extras_in(pool) }
}

/// Makes the extras of a registration if it has none: to be called before the section in which
/// something is set, which is then the shorter.
///
/// # Errors
/// [`Error::Stale`], [`Error::OutOfMemory`].
pub(crate) fn make(event: EventId) -> Result<(), Error> {
    let pool = section(|cs| {
        let context = with_core(cs, |core| core.look_up(event))?.context;
        let handler = with_core(cs, |core| core.handler(event))?;
        // SAFETY: a live registration's handler is live.
        let made = unsafe { handler.extras() }.is_some();
        registry::parts(cs, context).map(|(pool, _)| (!made).then_some(pool))
    })?;
    let Some(pool) = pool else { return Ok(()) };
    let extras = pool.alloc(Extras::default()).map_err(|_| Error::OutOfMemory)?;
    let unneeded = section(|cs| {
        let handler = with_core(cs, |core| core.handler(event))?;
        // SAFETY: as above. The pool is its context's, which a registration does not change.
        Ok(unsafe { handler.give_extras(cs, extras) })
    });
    unneeded.map(drop)
}

/// Has the event watched as long as there is something to watch for.
fn watch(cs: &Section, event: EventId, extras: &Extras) -> Result<(), Error> {
    let context = with_core(cs, |core| core.look_up(event))?.context;
    let watched = extras.watches() || registry::at(cs, context)?.front.get(cs).is_some();
    with_core(cs, |core| core.set_trait(event, Trait::Watched, watched))
}

/// Gives the event another filter, or none; returns the one it had.
pub(crate) fn set_filter(
    cs: &Section,
    event: EventId,
    filter: Option<Lent<Filter>>,
) -> Result<Option<Lent<Filter>>, Error> {
    let extras = of(cs, event)?;
    extras.version.set(extras.version.get().wrapping_add(1));
    let old = extras.filter.replace(filter);
    watch(cs, event, extras)?;
    Ok(old)
}

/// Sets in what time the event is to occur, beginning now and at each occurrence; or lifts that.
///
pub(crate) fn set_time_out(
    cs: &Section,
    event: EventId,
    within: Option<Duration>,
) -> Result<(), Error> {
    let extras = of(cs, event)?;
    let timer = extras.time_out.get();
    match within {
        Some(within) => {
            if timer == NO_TIMER {
                extras.time_out.set(timer::add(cs, Due::TimeOut(event.into_word()))?);
            }
            extras.within.set(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1));
            extras.wait_anew(cs)?;
        }
        None => {
            extras.within.set(0);
            // There may be none. It stays reserved.
            let _ = timer::disarm(cs, timer);
            with_core(cs, |core| -> Result<(), Error> {
                core.forget_time_out(event)?;
                note_if_due(core);
                Ok(())
            })?;
        }
    }
    watch(cs, event, extras)
}

/// The timer that activates the event, from now on ended with it.
///
/// # Errors
/// [`Error::Exclusive`] when it has one already, [`Error::NotAllowed`] when its owner may have none.
pub(crate) fn add_timer(cs: &Section, event: EventId) -> Result<TimerId, Error> {
    let extras = of(cs, event)?;
    policy::permit_kind(cs, with_core(cs, |core| core.look_up(event))?.context, "timer")?;
    if timer::exists(cs, extras.timer.get()) {
        return Err(Error::Exclusive);
    }
    let timer = timer::add(cs, Due::Event(event.into_word()))?;
    extras.timer.set(timer);
    Ok(timer)
}

impl Extras {
    /// Gives the timers back: the registration has ended.
    pub(crate) fn end_timers(&self, cs: &Section) {
        // There may be none, or it may have been given back already.
        let _ = timer::remove(cs, self.timer.get());
        let _ = timer::remove(cs, self.time_out.get());
    }

    /// Whether there is something to watch for.
    fn watches(&self) -> bool {
        let filter = self.filter.take();
        let watches = filter.is_some() || self.within.get() != 0;
        self.filter.set(filter);
        watches
    }

    fn wait_anew(&self, cs: &Section) -> Result<(), Error> {
        if self.within.get() == 0 {
            return Ok(());
        }
        let within = Duration::from_nanos(self.within.get());
        timer::arm(cs, self.time_out.get(), timer::now() + within, None)
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

/// `count` occurrences of a watched event: they are counted if its filter lets them, and its
/// time-out begins anew. A cloner's may go straight to a child: to that one's start event, which is
/// returned and to be activated.
#[cold]
#[inline(never)]
pub(crate) fn occurred(cs: &Section, event: EventId, count: u32) -> Result<Option<EventId>, Error> {
    let info = with_core(cs, |core| core.look_up(event))?;
    let place = registry::at(cs, info.context)?;
    if let Some(crew) = place.front.get(cs) {
        let handler = with_core(cs, |core| core.handler(event))?;
        // SAFETY: a live registration's handler is live.
        let extras = unsafe { handler.extras() };
        if !extras.is_some_and(Extras::watches)
            && let Some(start) = crew::offer(cs, crew, info, event, count)
        {
            return Ok(Some(start));
        }
    }
    let extras = of(cs, event)?;
    // Taken out while it is asked, as it may do anything, end this registration included.
    if let Some(filter) = extras.filter.take() {
        let version = extras.version.get();
        let Some(pass) = attempt(cs, info.context, || filter(count)) else {
            // In what state it is nobody knows, so nobody is to drop it.
            let (filter, pool) = filter.into_raw();
            // SAFETY: given up in the line above, and nobody calls it any more.
            unsafe { registry::free_block(filter.cast(), pool) };
            return Ok(None);
        };
        let extras = of(cs, event)?;
        if extras.version.get() == version {
            extras.filter.set(Some(filter));
        }
        if !pass {
            return Ok(None);
        }
    }
    of(cs, event)?.wait_anew(cs)?;
    note(with_core(cs, |core| core.admit(event, count, timestamp()))?);
    Ok(None)
}
