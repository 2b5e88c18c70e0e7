//! What ended registrations leave to be dropped: what their handlers have captured, and their filters.
//! It is application's code, so it runs in its own context, outside of any section, and fails alone.
//!
//! ```text
//!   the handler has returned, ended meanwhile ─────▶ at once, in its stead
//!   ended by its own context ──────────────────────▶ at once, where that is
//!   ended by others, or in a section ──▶ `last` ───▶ an activation of its own, at its priority
//!   its context was given up ──────────────────────▶ the supervisor (see `cleanup`)
//! ```
//!
//! The activation needs no memory: the handler is registered anew in the place that it has just left,
//! under a name that nobody knows, to be called one last time.

use crate::context::attempt::attempt;
use crate::context::{caller, registry, scope};
use crate::cpu::attributes::Filter;
use crate::cpu::handler::{Called, Handler, Way};
use crate::cpu::loose::Loose;
use crate::cpu::retired::{Husk, Retired};
use crate::cpu::workers::WorkerRef;
use crate::dispatch::event_core::{note, running, timestamp, with_core};
use crate::dispatch::section;
use crate::dispatch::section::{Outermost, Section, section};
use crate::event::activate::begin_deferred;
use crate::event::{budget, filter};
use reflex_event::{Accumulation, ContextId, ContextState, Error, Outcome, Priority, Registration};
use reflex_memory::Lent;

/// Whether code of `context` is running that may be given up: no section is open but the caller's.
pub(crate) fn is_at_home(cs: &Section, context: ContextId) -> bool {
    section::is_outermost()
        && running(cs) == Some(context)
        && !caller::is_under_way(cs)
        && scope::with(cs, |scopes| scopes.open() == 0)
}

/// What the end of a registration leaves to its own context, which has called for it.
pub(crate) struct Left {
    handler: Retired,
    context: ContextId,
}

impl Left {
    /// Drops it.
    #[cold]
    pub(crate) fn drop_here(self) {
        drop_here(self.handler, self.context);
    }
}

/// A registration has ended that has left more than memory. If its context is
/// [at home](is_at_home), a handler that has something to be dropped is handed out to be dropped there:
/// it is not used by anybody else any more, and has been noted as unfinished.
#[cold]
#[inline(never)]
pub(crate) fn ended(
    cs: &Section,
    context: ContextId,
    handler: Retired,
    priority: Priority,
) -> Option<Left> {
    let drops = handler.header().must_drop();
    let place = registry::existing(cs, context.index).ok();
    if drops && is_at_home(cs, context) {
        if let Some(supervision) = place.and_then(|place| place.supervision) {
            supervision.unfinished.set(Some(handler.handler()));
        }
        // Its timers and what else is beside it are ended there, in a section of their own.
        return Some(Left { handler, context });
    }
    handler.end_attributes(cs);
    if drops {
        later(cs, context, handler, priority);
        return None;
    }
    handler.drop_captured().free();
    if let Some(worker_ref) = place.and_then(|place| place.worker_ref.get(cs)) {
        worker_ref.left(cs);
    }
    None
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
    section(|cs| {
        let Ok(place) = registry::get(cs, context) else { return };
        if let Some(supervision) = place.supervision {
            supervision.unfinished.set(None);
        }
        husk.free();
        if let Some(worker_ref) = place.worker_ref.get(cs) {
            worker_ref.left(cs);
        }
    });
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
    handler.end_attributes(&outermost);
    if handler.header().must_drop()
        && let Some(context) = context
    {
        if let Some(supervision) = place.supervision {
            supervision.unfinished.set(Some(handler.handler()));
        }
        let free = outermost.leave();
        budget::limited(|| drop_here(handler, context));
        return free.hold();
    }
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
