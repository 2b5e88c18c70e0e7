//! Registrations as the machine makes and ends them: the core's table, and memory for it.

use crate::bound::{Handler, Loose};
use crate::dispatch::{CORE, note};
use crate::section::section;
use crate::{calls, guard, memory, policy, registry, supervise};
use reflex_event::{Chunk, ContextId, Error, EventId, Outcome, Record, Registration, Unregistered};

/// Registers a handler. Others may run meanwhile.
///
/// # Errors
/// As [`admit`], and those of the core.
pub(crate) fn register(
    context: ContextId,
    registration: Registration,
    handler: Loose,
) -> Result<EventId, Error> {
    loop {
        let registered = section(|| {
            if admit(context, &handler)? {
                // SAFETY: it is live, as it has not been dropped.
                unsafe { calls::route(handler.handler(), true) };
            }
            // SAFETY: in a section, and the borrow ends in this statement.
            unsafe { CORE.get() }.register(context, registration, handler.handler())
        });
        let refused = match registered {
            Ok(event) => {
                handler.keep();
                return Ok(event);
            }
            Err(Error::TableFull) => Error::TableFull,
            Err(Error::LimitReached) => return Err(section(|| policy::refuse(context))),
            refused => return refused,
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

/// Whether a handler may become one of a context's, and whether its calls are then limited in time.
/// Every handler comes through here on its way to a registration. The caller is in a section.
///
/// # Errors
/// [`Error::NoContext`], [`Error::Busy`] when the context has been given up and not been restarted;
/// [`Error::Foreign`] and [`Error::WrongState`] when the handler lies in another context's memory, or
/// is for a state that this context has not, or has no more.
fn admit(context: ContextId, handler: &Loose) -> Result<bool, Error> {
    let place = registry::at(context)?;
    handler.fits(place.pool, place.state)?;
    Ok(supervise::living(place)?.is_some_and(|living| living.budget.is_some()))
}

/// Gives a registration of a context another handler. What is pending stays for that one, and so do
/// its timers, its filter and its deadline. Returns the former handler; or the new one, with the
/// reason, when it is refused. Either had better be dropped outside of sections.
///
/// # Errors
/// As [`admit`]; [`Error::Stale`]; [`Error::Foreign`] when the registration is another context's;
/// [`Error::Busy`] when its handler is on the context's stack.
pub(crate) fn rebind(
    context: ContextId,
    event: EventId,
    handler: Loose,
) -> Result<Loose, (Error, Loose)> {
    section(|| {
        let admitted = admit(context, &handler).and_then(|limited| {
            // SAFETY: in a section, and the borrow ends in this statement.
            let former = unsafe { CORE.get() }.rebind(context, event, handler.handler())?;
            Ok((limited, former))
        });
        let (limited, former) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Err((error, handler)),
        };
        let new = handler.handler();
        // SAFETY: the core gave the former one back, so it does not run and is never called again; it
        // lies in the context's memory, as all handlers of its registrations do. The new one is live.
        unsafe {
            let former = handler.succeed(former);
            calls::route(new, limited);
            Ok(former)
        }
    })
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
        let place = registry::existing(ended.context.index)?;
        if ended.handler.is_some() {
            // Cut off in between, the handler would be lost.
            guard::open();
        } else if let Some(member) = place.member {
            member.left(ended.context);
        }
        // SAFETY: the core gave it back, and it has not been released.
        let extras = ended.handler.is_some_and(|handler| unsafe { handler.extras() }.is_some());
        Ok((ended, place.pool, place.member, extras))
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
            section(|| member.left(ended.context));
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
        member.left(context);
    }
    Ok(Unregistered { context, handler: None, dropped })
}
