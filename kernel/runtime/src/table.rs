//! Registrations as the machine makes and ends them: the core's table, and memory for it.

use crate::bound::{AnyState, Handler};
use crate::dispatch::{note, note_if_due, with_core};
use crate::section::{Section, section};
use crate::{guard, memory, policy, registry, supervise};
use reflex_event::{Chunk, ContextId, Error, EventId, Outcome, Record, Registration, Unregistered};

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

/// Ends a registration, and drops its handler unless that runs; returns how many occurrences it was
/// not told of. Not in one section: what the handler has captured may be much.
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn end(event: EventId) -> Result<u32, Error> {
    let (ended, pool, member, extras) = section(|cs| {
        let ended = with_core(cs, |core| {
            let ended = core.unregister(event);
            note_if_due(core);
            ended
        })?;
        let place = registry::at(cs, ended.context)?;
        if ended.handler.is_some() {
            // Cut off in between, the handler would be lost.
            guard::open(cs);
        } else if let Some(member) = place.member.get(cs) {
            member.left(cs, ended.context);
        }
        // SAFETY: the core gave it back, and it has not been released.
        let extras = ended.handler.is_some_and(|handler| unsafe { handler.extras() }.is_some());
        Ok((ended, place.pool, place.member.get(cs), extras))
    })?;
    if let Some(handler) = ended.handler {
        // SAFETY: the core gave it back, so it does not run and is never called again.
        unsafe {
            if extras {
                section(|cs| handler.drop_extras(cs, pool));
            }
            handler.drop_captured();
            handler.free(pool);
        }
        if let Some(member) = member {
            section(|cs| member.left(cs, ended.context));
        }
        guard::close();
    }
    Ok(ended.dropped)
}

/// Ends a registration, and drops its handler unless that runs.
pub(crate) fn unregister(cs: &Section, event: EventId) -> Result<Unregistered<()>, Error> {
    let (ended, due) = with_core(cs, |core| (core.unregister(event), core.preemption_due()));
    let Unregistered { context, handler, dropped } = ended?;
    if let Some(handler) = handler {
        let (pool, _) = registry::parts(cs, context)?;
        // SAFETY: the core gave it back, so it does not run and is never called again.
        unsafe { handler.release(cs, pool) };
    }
    note(if due { Outcome::Preempt } else { Outcome::Continue });
    if let Some(member) = registry::at(cs, context)?.member.get(cs) {
        member.left(cs, context);
    }
    Ok(Unregistered { context, handler: None, dropped })
}
