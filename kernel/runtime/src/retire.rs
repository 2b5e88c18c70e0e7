//! What ended registrations leave to be dropped: what their handlers have captured, and their filters.
//! It is application's code, so it runs in the context whose it is, outside of any section, and fails
//! alone.
//!
//! ```text
//!   the handler has returned, ended meanwhile ─────▶ at once, in its stead
//!   ended by its own context ──────────────────────▶ at once, where that is
//!   ended by others, or in a section ──▶ `last` ───▶ an activation of its own, at its priority
//!   its context was given up ──────────────────────▶ the supervisor (see `estate`)
//! ```
//!
//! The activation needs no memory: the handler is registered anew in the place that it has just left,
//! under a name that nobody knows, to be called one last time.

use crate::attempt::attempt;
use crate::bound::{Handler, Header};
use crate::dispatch::{note, running, timestamp, with_core};
use crate::section::{self, Outermost, Section, section};
use crate::{attempt as under_way, budget, registry, scope};
use core::ptr::NonNull;
use reflex_event::{
    Accumulation, Condition, ContextId, Error, EventId, Outcome, Priority, Registration,
};
use reflex_memory::Pool;

/// Whether code of `context` is running that may be given up: no section is open but the caller's.
pub(crate) fn is_at_home(cs: &Section, context: ContextId) -> bool {
    section::is_outermost()
        && running(cs) == Some(context)
        && !under_way::is_under_way(cs)
        && scope::with(cs, |scopes| scopes.open() == 0)
}

/// Has what a handler has captured dropped later, in its context, and its memory freed.
///
/// # Safety
/// The handler is live, was bound in the pool of `context`, and nobody else uses it again.
pub(crate) unsafe fn later(cs: &Section, context: ContextId, handler: Handler, priority: Priority) {
    // SAFETY: the caller's duty.
    if !unsafe { handler.must_drop() }
        && let Ok((pool, _)) = registry::parts(cs, context)
    {
        // SAFETY: as above.
        unsafe {
            handler.drop_extras(cs, pool);
            handler.free(pool);
        }
        return;
    }
    // SAFETY: the caller's duty; `last` is sound to call with anything.
    unsafe { handler.divert(last) };
    let registration = Registration { priority, accumulation: Accumulation::Each };
    match with_core(cs, |core| -> Result<Outcome, Error> {
        if core.condition(context)?.0 == Condition::Taken {
            // It runs no handlers.
            return Err(Error::Busy);
        }
        let event = core.register(context, registration, handler)?;
        let outcome = core.activate(event, 1, timestamp)?;
        if core.look_up(event)?.pending == 0 {
            // Shed, since too much waits there.
            core.unregister(event)?;
            return Err(Error::LimitReached);
        }
        Ok(outcome)
    }) {
        Ok(outcome) => note(outcome),
        // SAFETY: the caller's duty: the core has not kept it.
        Err(_) => unsafe { contained(cs, context, handler) },
    }
}

/// Drops what a handler has captured here and now, as code of `context`, and frees its memory.
///
/// # Safety
/// As for [`later`].
unsafe fn contained(cs: &Section, context: ContextId, handler: Handler) {
    let Ok((pool, _)) = registry::parts(cs, context) else { return };
    // SAFETY: the caller's duty. What does not come to its end is forgotten.
    let _ = attempt(cs, context, || unsafe { handler.drop_all(pool) });
    // SAFETY: as above.
    unsafe {
        handler.drop_extras(cs, pool);
        handler.free(pool);
    }
}

/// Drops a handler that was bound in vain, in its context: here, if that is where this is, or
/// [`later`].
///
/// # Safety
/// As for [`later`]; `pool` is that of `context`. Not in a section.
pub(crate) unsafe fn unseen(handler: Handler, context: ContextId, pool: &'static Pool) {
    let here = section(|cs| {
        let here = is_at_home(cs, context);
        if !here {
            // SAFETY: the caller's duty.
            unsafe { later(cs, context, handler, Priority::DEFAULT) };
        }
        here
    });
    if here {
        // SAFETY: as above.
        unsafe { handler.discard(pool) };
    }
}

/// What dispatch calls instead of a handler that is to be called one last time: it ends itself, and so
/// [`finish`] is next.
unsafe extern "C" fn last(_: NonNull<Header>, event: u64, _: u32) {
    // It is running, so it is registered.
    let _ = section(|cs| with_core(cs, |core| core.unregister(EventId::from_word(event))));
}

/// Whether a handler is only called to be dropped.
///
/// # Safety
/// It is live.
pub(crate) unsafe fn is_last(handler: Handler) -> bool {
    // SAFETY: the caller's duty.
    unsafe { handler.calls(last) }
}

/// Drops what a handler has captured, in its own context, which may be given up meanwhile; then frees
/// its memory.
///
/// # Safety
/// The handler is live, was bound in the pool of the running context, and nobody else uses it again. It
/// is noted as unfinished there, if that is supervised.
pub(crate) unsafe fn drop_here(handler: Handler, context: ContextId, pool: &'static Pool) {
    // SAFETY: the caller's duty.
    unsafe { handler.drop_all(pool) };
    section(|cs| {
        let Ok(place) = registry::at(cs, context) else { return };
        if let Some(supervision) = place.supervision {
            supervision.unfinished.set(None);
        }
        // SAFETY: as above; nothing is left of it.
        unsafe { handler.free(pool) };
        if let Some(member) = place.member.get(cs) {
            member.left(cs);
        }
    });
}

/// A handler has returned that was ended meanwhile: what it has captured is dropped, with the time that
/// a handler has, and its memory is freed.
///
/// # Safety
/// The core gave it back: it was bound in the running context's pool, and is never called again.
pub(crate) unsafe fn finish(outermost: Outermost, handler: Handler) -> Outermost {
    let context = running(&outermost);
    let Some(Ok(place)) = context.map(|context| registry::at(&outermost, context)) else {
        return outermost;
    };
    let (context, pool, member) = (context, place.pool, place.member.get(&outermost));
    // SAFETY: the caller's duty.
    let drops = unsafe {
        handler.drop_extras(&outermost, pool);
        handler.must_drop()
    };
    if drops && let Some(context) = context {
        if let Some(supervision) = place.supervision {
            supervision.unfinished.set(Some(handler));
        }
        let free = outermost.leave();
        // SAFETY: the caller's duty; noted in the lines above.
        budget::limited(|| unsafe { drop_here(handler, context, pool) });
        return free.hold();
    }
    // SAFETY: the caller's duty.
    unsafe { handler.free(pool) };
    if let Some(member) = member {
        member.left(&outermost);
    }
    outermost
}
