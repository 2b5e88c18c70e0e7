//! What a few registrations have beside a handler: a filter, a time-out, a timer.

use crate::attempt::attempt;
use crate::dispatch::{CORE, note, note_if_due, timestamp};
use crate::section::section;
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

/// Reached only in a section.
pub(crate) struct Extras {
    /// Taken out while it is asked.
    filter: Cell<Option<Lent<Filter>>>,
    /// Another with each filter.
    version: Cell<u64>,
    /// What tells that the event did not occur in time.
    time_out: Cell<TimerId>,
    /// The time it has for that, in nanoseconds; 0 for any.
    within: Cell<u64>,
    /// The timer that activates the event.
    timer: Cell<TimerId>,
    /// In what time its handler is to have ended, in microseconds; 0 in any.
    pub(crate) deadline: Cell<u32>,
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
        }
    }
}

impl Drop for Extras {
    fn drop(&mut self) {
        // There may be none, or it may have been given back already.
        let _ = timer::remove(self.timer.get());
        let _ = timer::remove(self.time_out.get());
    }
}

/// Forgets what kind of filter it is.
pub(crate) fn erase(filter: Lent<impl Fn(u32) -> bool + Send + 'static>) -> Lent<Filter> {
    let (filter, pool) = filter.into_raw();
    // SAFETY: given up in the line above; the same pointer, seen as one to a trait object.
    unsafe { Lent::from_raw(filter as core::ptr::NonNull<Filter>, pool) }
}

/// The extras of a registration. The caller is in a section, in which the registration does not
/// end while the result is in use.
pub(crate) fn of<'a>(event: EventId) -> Result<&'a Extras, Error> {
    // SAFETY: in a section; the borrow ends in this statement.
    let handler = unsafe { CORE.get() }.handler(event)?;
    // SAFETY: a live registration's handler is live.
    if let Some(extras) = unsafe { handler.extras() } {
        return Ok(extras);
    }
    // SAFETY: in a section; the borrow ends in this statement.
    let context = unsafe { CORE.get() }.look_up(event)?.context;
    let (pool, _) = registry::parts(context)?;
    // SAFETY: as above; it was bound in that pool.
    unsafe { handler.extras_in(pool) }
}

/// Makes the extras of a registration if it has none: to be called before the section in which
/// something is set, which is then the shorter.
///
/// # Errors
/// [`Error::Stale`], [`Error::OutOfMemory`].
pub(crate) fn make(event: EventId) -> Result<(), Error> {
    let pool = section(|| {
        // SAFETY: in a section; the borrows end in their statements.
        let context = unsafe { CORE.get() }.look_up(event)?.context;
        // SAFETY: as above; a live registration's handler is live.
        let made = unsafe { CORE.get().handler(event)?.extras() }.is_some();
        registry::parts(context).map(|(pool, _)| (!made).then_some(pool))
    })?;
    let Some(pool) = pool else { return Ok(()) };
    let extras = pool.alloc(Extras::default()).map_err(|_| Error::OutOfMemory)?;
    let unneeded = section(|| {
        // SAFETY: as above. The pool is its context's, which a registration does not change.
        unsafe { Ok(CORE.get().handler(event)?.give_extras(extras)) }
    });
    unneeded.map(drop)
}

/// Has the event watched as long as there is something to watch for.
fn watch(event: EventId, extras: &Extras) -> Result<(), Error> {
    // SAFETY: in a section; the borrow ends in this statement.
    let context = unsafe { CORE.get() }.look_up(event)?.context;
    let watched = extras.watches() || registry::at(context)?.front.is_some();
    // SAFETY: as above.
    unsafe { CORE.get() }.set_trait(event, Trait::Watched, watched)
}

/// Gives the event another filter, or none; returns the one it had. The caller is in a section.
pub(crate) fn set_filter(
    event: EventId,
    filter: Option<Lent<Filter>>,
) -> Result<Option<Lent<Filter>>, Error> {
    let extras = of(event)?;
    extras.version.set(extras.version.get() + 1);
    let old = extras.filter.replace(filter);
    watch(event, extras)?;
    Ok(old)
}

/// Sets in what time the event is to occur, beginning now and at each occurrence; or lifts that.
/// The caller is in a section.
pub(crate) fn set_time_out(event: EventId, within: Option<Duration>) -> Result<(), Error> {
    let extras = of(event)?;
    let timer = extras.time_out.get();
    match within {
        Some(within) => {
            if timer == NO_TIMER {
                extras.time_out.set(timer::add(Due::TimeOut(event.into_word()))?);
            }
            extras.within.set(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1));
            extras.wait_anew()?;
        }
        None => {
            extras.within.set(0);
            // There may be none. It stays reserved.
            let _ = timer::disarm(timer);
            // SAFETY: in a section; the borrow ends in this block.
            let core = unsafe { CORE.get() };
            core.forget_time_out(event)?;
            note_if_due(core);
        }
    }
    watch(event, extras)
}

/// The timer that activates the event, from now on ended with it. The caller is in a section.
///
/// # Errors
/// [`Error::Exclusive`] when it has one already, [`Error::NotAllowed`] when its owner may have none.
pub(crate) fn add_timer(event: EventId) -> Result<TimerId, Error> {
    let extras = of(event)?;
    // SAFETY: in a section; the borrow ends in this statement.
    policy::permit_kind(unsafe { CORE.get() }.look_up(event)?.context, "timer")?;
    if timer::exists(extras.timer.get()) {
        return Err(Error::Exclusive);
    }
    let timer = timer::add(Due::Event(event.into_word()))?;
    extras.timer.set(timer);
    Ok(timer)
}

impl Extras {
    /// Whether there is something to watch for.
    fn watches(&self) -> bool {
        let filter = self.filter.take();
        let watches = filter.is_some() || self.within.get() != 0;
        self.filter.set(filter);
        watches
    }

    fn wait_anew(&self) -> Result<(), Error> {
        if self.within.get() == 0 {
            return Ok(());
        }
        let within = Duration::from_nanos(self.within.get());
        timer::arm(self.time_out.get(), timer::now() + within, None)
    }
}

/// The time in which an event was to occur is over. The caller is in a section.
#[cold]
#[inline(never)]
pub(crate) fn timed_out(event: EventId) -> Result<(), Error> {
    // SAFETY: in a section; the borrows end in their statements.
    let info = unsafe { CORE.get() }.look_up(event)?;
    if info.pending != 0 && info.disabled.is_none() {
        // Its handler has not been told of what did occur. The time is not to go by untold: it
        // begins anew.
        return of(event)?.wait_anew();
    }
    // SAFETY: as above.
    note(unsafe { CORE.get() }.time_out(event, timestamp())?);
    Ok(())
}

/// `count` occurrences of a watched event: they are counted if its filter lets them, and its
/// time-out begins anew. A cloner's may go straight to a child: to that one's start event, which is
/// returned and to be activated. The caller is in a section.
#[cold]
#[inline(never)]
pub(crate) fn occurred(event: EventId, count: u32) -> Result<Option<EventId>, Error> {
    // SAFETY: in a section; the borrow ends in this statement.
    let info = unsafe { CORE.get() }.look_up(event)?;
    let place = registry::at(info.context)?;
    if let Some(crew) = place.front {
        // SAFETY: as above; a live registration's handler is live.
        let extras = unsafe { CORE.get().handler(event)?.extras() };
        if !extras.is_some_and(Extras::watches)
            && let Some(start) = crew::offer(crew, info, event, count)
        {
            return Ok(Some(start));
        }
    }
    let extras = of(event)?;
    // Taken out while it is asked, as it may do anything, end this registration included.
    if let Some(filter) = extras.filter.take() {
        let version = extras.version.get();
        let Some(pass) = attempt(info.context, || filter(count)) else {
            // In what state it is nobody knows, so nobody is to drop it.
            let (filter, pool) = filter.into_raw();
            // SAFETY: given up in the line above, and nobody calls it any more.
            unsafe { registry::free_block(filter.cast(), pool) };
            return Ok(None);
        };
        let extras = of(event)?;
        if extras.version.get() == version {
            extras.filter.set(Some(filter));
        }
        if !pass {
            return Ok(None);
        }
    }
    of(event)?.wait_anew()?;
    // SAFETY: in a section; the borrow ends in this statement.
    note(unsafe { CORE.get() }.admit(event, count, timestamp())?);
    Ok(None)
}
