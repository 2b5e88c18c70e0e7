//! What ended registrations leave to be dropped: what their handlers have captured, and their filters.
//! It is application's code, so it runs in its own context, outside of any section, and fails alone.
//!
//! ```text
//!   the handler has returned, ended meanwhile ─────▶ at once, in its stead
//!   ended by its own context ──────────────────────▶ at once, where that is
//!   ended by others, or in a section ──▶ `Last` ───▶ a last call, at its priority
//!   its context was given up ──────────────────────▶ the supervisor (see `cleanup`)
//! ```
//!
//! The last call needs no memory: the registration stays in its place for it, under a name that nobody
//! knows. Each step of an end is a section of its own, so that others wait for none but the one under way.

use crate::context::attempt::attempt;
use crate::context::{caller, guard, registry, scope};
use crate::cpu::attributes::Filter;
use crate::cpu::handler::{Called, Handler, Way, registered};
use crate::cpu::loose::Loose;
use crate::cpu::retired::{Husk, Retired};
use crate::cpu::workers::WorkerRef;
use crate::dispatch::event_core::{note, running, timestamp, with_core};
use crate::dispatch::section;
use crate::dispatch::section::{Outermost, Section, section};
use crate::dispatch::timer;
use crate::event::activate::begin_deferred;
use crate::event::{budget, filter};
use reflex_event::{
    Accumulation, ContextId, ContextState, Error, EventId, Outcome, Priority, Registration, TimerId,
};
use reflex_memory::Lent;

/// Whether code of `context` is running that may be given up: no section is open but the caller's.
pub(crate) fn is_at_home(cs: &Section, context: ContextId) -> bool {
    section::is_outermost()
        && running(cs) == Some(context)
        && !caller::is_under_way(cs)
        && scope::with(cs, |scopes| scopes.open() == 0)
}

/// Ends a registration that has something pending, or leaves more than memory; returns how many occurrences its
/// handler was not told of.
///
/// # Errors
/// [`Error::Stale`].
#[cold]
#[inline(never)]
pub(crate) fn end(event: EventId) -> Result<u32, Error> {
    let home = section(|cs| {
        let context = with_core(cs, |core| core.context_of(event))?;
        Ok(is_at_home(cs, context))
    })?;
    let dropped = section(|cs| {
        let (dropped, outcome) = with_core(cs, |core| core.silence(event))?;
        note(outcome);
        // Nothing of it is called from here on. Cut off in between, it would be left as it is.
        guard::open(cs);
        Ok(dropped)
    })?;
    // By another it may have been ended in between.
    let ended = section(|cs| end_in(cs, event, home)).unwrap_or(Ended::NOTHING);
    if let Some(Timers(first, second)) = ended.timers {
        section(|cs| end_timer(cs, first));
        section(|cs| end_timer(cs, second));
    }
    guard::close();
    if let Some((handler, context)) = ended.left {
        drop_here(handler, context);
    }
    Ok(dropped)
}

/// What is left to do when a registration has ended.
#[must_use = "the timers would be left"]
pub(crate) struct Ended {
    /// To be given back.
    timers: Option<Timers>,
    /// To be dropped where its context is.
    left: Option<(Retired, ContextId)>,
}

/// The two timers that may be beside a handler.
struct Timers(TimerId, TimerId);

impl Ended {
    const NOTHING: Self = Self { timers: None, left: None };

    /// Does it in a section. Its context was not at home.
    pub(crate) fn finish_in(self, cs: &Section) {
        debug_assert!(self.left.is_none());
        if let Some(Timers(first, second)) = self.timers {
            end_timer(cs, first);
            end_timer(cs, second);
        }
    }
}

/// Gives a timer back, unless there is none.
fn end_timer(cs: &Section, timer: TimerId) {
    let _ = timer::remove(cs, timer);
}

/// Ends a registration that has nothing pending. If its context is [at home](is_at_home), a handler that has
/// something to be dropped is handed out to be dropped there: it is not used by anybody else any more, and has been
/// noted as unfinished. Else it is called one last time, in its own context.
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn end_in(cs: &Section, event: EventId, home: bool) -> Result<Ended, Error> {
    let header = with_core(cs, |core| registered(cs, core, event))?;
    let timers =
        header.attributes().map(|beside| Timers(beside.timer.get(), beside.time_out.get()));
    let drops = header.must_drop();
    if drops && !home {
        match with_core(cs, |core| core.end_by_call(event, timestamp())) {
            Ok(outcome) => {
                header.set_way::<Last>();
                note(outcome);
                return Ok(Ended { timers, left: None });
            }
            Err(Error::Stale) => return Err(Error::Stale),
            // Its handler is on the stack, or can not be called.
            Err(_) => {}
        }
    }
    end_uncalled(cs, event, home, timers)
}

/// [`end_in`] without a last call.
#[inline(never)]
fn end_uncalled(
    cs: &Section,
    event: EventId,
    home: bool,
    timers: Option<Timers>,
) -> Result<Ended, Error> {
    let ended = with_core(cs, |core| core.unregister(event))?;
    note(ended.outcome);
    let context = ended.context;
    let place = registry::existing(cs, context.index)?;
    if let Some(handler) = ended.handler {
        // SAFETY: the core gave it back, so it does not run and is never called again; it lies in its
        // context's memory.
        let handler = unsafe { Retired::take_over(handler, place.pool.get(cs)) };
        if !handler.header().must_drop() {
            handler.free_extras(cs);
            handler.drop_captured().free();
        } else if home {
            if let Some(supervision) = place.supervision {
                supervision.unfinished.set(Some(handler.handler()));
            }
            // Its timers and what else is beside it are ended there.
            return Ok(Ended { timers: None, left: Some((handler, context)) });
        } else {
            contained(cs, context, handler);
            return Ok(Ended::NOTHING);
        }
    }
    if let Some(worker_ref) = place.worker_ref.get(cs) {
        worker_ref.left(cs);
    }
    Ok(Ended { timers, left: None })
}

/// Has what a handler of `context` has captured dropped later, in its context, and its memory freed.
pub(crate) fn later(cs: &Section, context: ContextId, handler: Retired, priority: Priority) {
    if !handler.header().must_drop() {
        handler.end_attributes(cs);
        return handler.drop_captured().free();
    }
    handler.header().set_way::<Last>();
    let registration = Registration { priority, accumulation: Accumulation::Each };
    match with_core(cs, |core| -> Result<Outcome, Error> {
        if core.context_state(context)?.0 == ContextState::Taken {
            // It runs no handlers.
            return Err(Error::Busy);
        }
        let event = core.register(context, registration, handler.handler())?;
        let outcome = core.activate(event, 1, timestamp)?;
        if core.look_up(event)?.pending == 0 {
            // Shed, since too much waits there.
            let _ = core.unregister(event)?;
            return Err(Error::LimitReached);
        }
        Ok(outcome)
    }) {
        // It is the core's, until it gives it back.
        Ok(outcome) => note(outcome),
        Err(_) => contained(cs, context, handler),
    }
}

/// Drops what a handler has captured here and now, as code of `context`, and frees its memory.
fn contained(cs: &Section, context: ContextId, handler: Retired) {
    let (name, pool) = (handler.handler(), handler.pool());
    match attempt(cs, context, || handler.drop_all()) {
        Some(husk) => {
            husk.end_attributes(cs);
            husk.free();
        }
        None => {
            // SAFETY: what does not come to its end is forgotten, and nobody goes on with it.
            let husk = unsafe { Husk::take_over(name, pool) };
            husk.end_attributes(cs);
            husk.leave(registry::reuse(cs, context));
        }
    }
}

/// Drops a handler that was bound in vain, in its context: here, if that is where this is, or
/// [`later`]. Not in a section.
pub(crate) fn unseen(handler: Loose, context: ContextId) {
    let here = section(|cs| {
        if is_at_home(cs, context) {
            return Some(handler);
        }
        later(cs, context, handler.keep(), Priority::DEFAULT);
        None
    });
    drop(here);
}

/// Drops a filter that is no event's any more: here, if this is its owner's context, or as code of that.
pub(crate) fn drop_filter(owner: ContextId, filter: Option<Lent<Filter>>) {
    let Some(filter) = filter else { return };
    let left = section(|cs| {
        if is_at_home(cs, owner) {
            return Some(filter);
        }
        filter::discard(cs, owner, filter);
        None
    });
    drop(left);
}

/// The way of a handler that is to be called one last time: it ends itself, and so [`finish`] is next.
pub(crate) struct Last;

impl Way for Last {
    fn call(called: Called) {
        // It is running, so it is registered.
        section(|cs| {
            if let Ok(ended) = with_core(cs, |core| core.unregister(called.event())) {
                note(ended.outcome);
            }
        });
    }
}

/// Drops what a handler has captured, in its own context, which may be given up meanwhile; then frees
/// its memory. It is noted as unfinished there, if that is supervised.
fn drop_here(handler: Retired, context: ContextId) {
    let husk = handler.drop_all();
    let worker_ref = section(|cs| {
        let place = registry::get(cs, context).ok()?;
        if let Some(supervision) = place.supervision {
            supervision.unfinished.set(None);
        }
        husk.free();
        place.worker_ref.get(cs)
    });
    // Should the child be given up before this, its life is over anyway.
    if let Some(worker_ref) = worker_ref {
        section(|cs| worker_ref.left(cs));
    }
}

/// A handler of the running context's has returned that was ended meanwhile: what it has captured is
/// dropped, with the time that a handler has, and its memory is freed.
///
/// # Safety
/// The core gave it back.
pub(crate) unsafe fn finish(outermost: Outermost, handler: Handler) -> Outermost {
    let context = running(&outermost);
    let Some(Ok(place)) = context.map(|context| registry::get(&outermost, context)) else {
        return outermost;
    };
    let worker_ref = place.worker_ref.get(&outermost);
    // SAFETY: the caller's duty: it has returned and is never called again. It was bound in its
    // context's pool, as all of that one's handlers.
    let handler = unsafe { Retired::take_over(handler, place.pool.get(&outermost)) };
    if handler.header().must_drop()
        && let Some(context) = context
    {
        // Its timers and what else is beside it are ended there.
        if let Some(supervision) = place.supervision {
            supervision.unfinished.set(Some(handler.handler()));
        }
        let free = outermost.leave();
        budget::limited(|| drop_here(handler, context));
        return free.hold();
    }
    handler.end_attributes(&outermost);
    handler.drop_captured().free();
    if let Some(worker_ref) = worker_ref {
        worker_ref.left(&outermost);
    }
    outermost
}

impl WorkerRef {
    /// A registration of the child has ended; if it was its last, its life is looked at.
    pub(crate) fn left(self, cs: &Section) {
        if let Some(start) =
            self.with(cs, |workers, core, number| workers.children.left(core, number))
        {
            begin_deferred(cs, start);
        }
    }
}
