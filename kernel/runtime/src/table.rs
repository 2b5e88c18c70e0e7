//! Registrations as the machine makes and ends them: the core's table, and memory for it.

use crate::bound::{AnyState, Handler};
use crate::dispatch::{note_if_due, with_core};
use crate::section::{Section, section};
use crate::{memory, policy, registry, retire, supervise};
use reflex_event::{
    Chunk, ContextId, Error, EventId, Priority, Record, Registration, Unregistered,
};
use reflex_memory::Pool;

/// Registers a bound handler. Others may run meanwhile.
pub(crate) fn register(
    context: ContextId,
    registration: Registration,
    handler: Handler,
) -> Result<EventId, Error> {
    register_for(context, None, registration, handler)
}

/// Registers a handler that was bound to `state`, if that is still the context's.
///
/// # Errors
/// [`Error::WrongState`] when the context has been replaced since, or begun another life; those of
/// the core.
pub(crate) fn register_for(
    context: ContextId,
    state: Option<AnyState>,
    registration: Registration,
    handler: Handler,
) -> Result<EventId, Error> {
    loop {
        let registered = section(|cs| {
            let now = registry::at(cs, context)?.state.get(cs);
            if state.is_some_and(|state| state.block() != now.block()) {
                return Err(Error::WrongState);
            }
            ready(cs, context, handler)?;
            with_core(cs, |core| core.register(context, registration, handler))
        });
        let refused = match registered {
            Err(Error::TableFull) => Error::TableFull,
            Err(Error::LimitReached) => return Err(section(|cs| policy::refuse(cs, context))),
            registered => return registered,
        };
        match section(|cs| with_core(cs, |core| core.needs_chunk())) {
            Ok(true) => grow()?,
            // Somebody else has made room since.
            Ok(false) => {}
            Err(_) => return Err(refused),
        }
    }
}

/// Readies a handler for its context, which is to be alive.
pub(crate) fn ready(cs: &Section, context: ContextId, handler: Handler) -> Result<(), Error> {
    if let Some(call) = supervise::living(cs, context)?.and_then(|living| living.budget.call()) {
        // SAFETY: the handler is live, and nobody calls it yet; the call makes the usual one.
        unsafe { handler.divert(call) };
    }
    Ok(())
}

/// Gives the core's table another chunk. It is made outside any section, since that takes time.
#[cold]
fn grow() -> Result<(), Error> {
    let place = memory::take(size_of::<Chunk<Handler>>(), align_of::<Chunk<Handler>>());
    let place = place.ok_or(Error::OutOfMemory)?.cast::<Record<Handler>>();
    for index in 0..Chunk::<Handler>::SIZE {
        // SAFETY: within the memory that was taken for so many records, aligned for them.
        unsafe { place.add(index).write(Record::FREE) };
    }
    // SAFETY: a chunk is its records, which are all written; the memory is ours for ever.
    let chunk = unsafe { place.cast::<Chunk<Handler>>().as_mut() };
    // Given back it is lost: that happens once, when the table has become full meanwhile.
    let _ = section(|cs| with_core(cs, |core| core.supply(chunk)));
    Ok(())
}

/// Calls `visit` for each registration of a context, outside of sections. Those that are made
/// meanwhile may be left out.
pub(crate) fn each<E: From<Error>>(
    context: ContextId,
    mut visit: impl FnMut(EventId, Priority) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = section(|cs| with_core(cs, |core| core.first_of(context)))?;
    while let Some(event) = at {
        let seen = section(|cs| {
            with_core(cs, |core| {
                let priority = core.look_up(event)?.registration.priority;
                // SAFETY: a live registration's handler is live.
                let last = unsafe { retire::is_last(core.handler(event)?) };
                Ok::<_, Error>((priority, last, core.next_of(event)?))
            })
        });
        let Ok((priority, last, next)) = seen else {
            // Ended meanwhile: from the start again, which meets others twice.
            at = section(|cs| with_core(cs, |core| core.first_of(context)))?;
            continue;
        };
        // One that has ended is only there to be dropped.
        if !last {
            visit(event, priority)?;
        }
        at = next;
    }
    Ok(())
}

/// What the end of a registration leaves to its own context, which has called for it.
struct Left {
    handler: Handler,
    context: ContextId,
    pool: &'static Pool,
}

/// Ends a registration; returns how many occurrences its handler was not told of. What that has
/// captured is dropped in its context: by this, or [later](retire::later).
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn end(event: EventId) -> Result<u32, Error> {
    let (dropped, left) = section(|cs| end_in(cs, event))?;
    if let Some(Left { handler, context, pool }) = left {
        // SAFETY: `end_in` says so.
        unsafe { retire::drop_here(handler, context, pool) };
    }
    Ok(dropped)
}

/// Ends a registration. What its handler has captured is dropped [later](retire::later).
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn unregister(cs: &Section, event: EventId) -> Result<(), Error> {
    // The section is the caller's, so its context is not at home.
    let (_, left) = section(|_| end_in(cs, event))?;
    debug_assert!(left.is_none());
    Ok(())
}

/// Ends a registration. If its context is [at home](retire::is_at_home), the handler is handed out to be
/// dropped there: it is not used by anybody else any more, and has been noted as unfinished.
fn end_in(cs: &Section, event: EventId) -> Result<(u32, Option<Left>), Error> {
    let (ended, priority) = with_core(cs, |core| {
        // SAFETY: a live registration's handler is live.
        let drops = unsafe { core.handler(event)?.must_drop() };
        let info = if drops { Some(core.look_up(event)?) } else { None };
        let ended = core.unregister(event);
        note_if_due(core);
        Ok((ended?, info.map(|info| info.registration.priority)))
    })?;
    let Unregistered { context, handler, dropped } = ended;
    let place = registry::at(cs, context)?;
    let pool = place.pool;
    if let Some(handler) = handler {
        // SAFETY: the core gave it back, so it does not run and is never called again.
        unsafe { handler.drop_extras(cs, pool) };
        if let Some(priority) = priority {
            if retire::is_at_home(cs, context) {
                if let Some(supervision) = place.supervision {
                    supervision.unfinished.set(Some(handler));
                }
                return Ok((dropped, Some(Left { handler, context, pool })));
            }
            // SAFETY: as above.
            unsafe { retire::later(cs, context, handler, priority) };
            return Ok((dropped, None));
        }
        // SAFETY: as above; there is nothing to drop.
        unsafe { handler.free(pool) };
    }
    if let Some(member) = place.member.get(cs) {
        member.left(cs);
    }
    Ok((dropped, None))
}
