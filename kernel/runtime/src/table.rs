//! Registrations as the machine makes and ends them: the core's table, and memory for it.

use crate::bound::{AnyState, Handler};
use crate::dispatch::{CORE, note};
use crate::registry::Place;
use crate::section::section;
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
        let registered = section(|| {
            let now = registry::at(context)?.state;
            if state.is_some_and(|state| state.block() != now.block()) {
                return Err(Error::WrongState);
            }
            ready(context, handler)?;
            // SAFETY: in a section, and the borrow ends in it.
            unsafe { CORE.get() }.register(context, registration, handler)
        });
        let refused = match registered {
            Err(Error::TableFull) => Error::TableFull,
            Err(Error::LimitReached) => return Err(section(|| policy::refuse(context))),
            registered => return registered,
        };
        // SAFETY: in a section, and the borrow ends in it.
        match section(|| unsafe { CORE.get() }.needs_chunk()) {
            Ok(true) => grow()?,
            // Somebody else has made room since.
            Ok(false) => {}
            Err(_) => return Err(refused),
        }
    }
}

/// Readies a handler for its context, which is to be alive. The caller is in a section.
pub(crate) fn ready(context: ContextId, handler: Handler) -> Result<(), Error> {
    if let Some(call) = supervise::living(context)?.and_then(|living| living.budget.call()) {
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
    // SAFETY: in a section, and the borrow ends in it. Given back it is lost: that happens once,
    // when the table has become full meanwhile.
    let _ = section(|| unsafe { CORE.get() }.supply(chunk));
    Ok(())
}

/// Ends a registration, and drops its handler unless that runs; returns how many occurrences it was
/// not told of. Not in one section: what the handler has captured may be much.
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn end(event: EventId) -> Result<u32, Error> {
    let (ended, pool, member, extras) = section(|| {
        // SAFETY: in a section, and the borrow ends with the two calls.
        let core = unsafe { CORE.get() };
        let ended = core.unregister(event)?;
        let due = core.preemption_due();
        note(if due { Outcome::Preempt } else { Outcome::Continue });
        let Place { pool, member, .. } = *registry::at(ended.context)?;
        // SAFETY: the core gave it back, and it has not been released.
        let extras = ended.handler.is_some_and(|handler| unsafe { handler.extras() }.is_some());
        if ended.handler.is_some() {
            // Cut off in between, the handler would be lost.
            guard::open();
        } else if let Some(member) = member {
            member.left();
        }
        Ok((ended, pool, member, extras))
    })?;
    if let Some(handler) = ended.handler {
        // SAFETY: the core gave it back, so it does not run and is never called again.
        unsafe {
            if extras {
                section(|| handler.drop_extras(pool));
            }
            handler.drop_captured();
            handler.free(pool);
        }
        if let Some(member) = member {
            section(|| member.left());
        }
        guard::close();
    }
    Ok(ended.dropped)
}

/// Ends a registration, and drops its handler unless that runs. The caller is in a section.
pub(crate) fn unregister(event: EventId) -> Result<Unregistered<()>, Error> {
    // SAFETY: in a section, and the borrow ends with the call.
    let core = unsafe { CORE.get() };
    let Unregistered { context, handler, dropped } = core.unregister(event)?;
    let due = core.preemption_due();
    if let Some(handler) = handler {
        let (pool, _) = registry::parts(context)?;
        // SAFETY: the core gave it back, so it does not run and is never called again.
        unsafe { handler.release(pool) };
    }
    note(if due { Outcome::Preempt } else { Outcome::Continue });
    if let Some(member) = registry::at(context)?.member {
        member.left();
    }
    Ok(Unregistered { context, handler: None, dropped })
}
