//! Registrations as the machine makes and ends them: the core's table, and memory for it.

use crate::context::{guard, policy, registry, supervision};
use crate::cpu::context::ContextBlock;
use crate::cpu::handler::{Handler, registered};
use crate::cpu::loose::Loose;
use crate::cpu::retired::Retired;
use crate::dispatch::event_core::{borrow_core, note, with_core};
use crate::dispatch::memory;
use crate::dispatch::refusal;
use crate::dispatch::section::{Section, section};
use crate::event::retire::Last;
use crate::event::{calls, retire};
use reflex_arch::core_words;
use reflex_event::{
    Activation, Chunk, Context, ContextId, Error, EventId, Executor, Priority, Record,
    Registration, Unregistered,
};

/// Binds `handler` to a context's state, and registers it.
///
/// # Errors
/// Those of [`EventSystem::register`](reflex_event::EventSystem::register).
pub(crate) fn bind<S, F>(
    context: Context<S>,
    registration: Registration,
    handler: F,
) -> Result<EventId, Error>
where
    S: 'static,
    F: Fn(&mut S, Activation) + Send + 'static,
{
    let (pool, state) = section(|cs| {
        let place = registry::get(cs, context.id())?;
        policy::permit_at(cs, place, Executor::Direct)?;
        supervision::living(place)?;
        let state = place.state.get(cs).typed::<S>().ok_or(Error::WrongState)?;
        // Cut off in between, the bound handler would be lost.
        guard::open(cs);
        Ok((place.pool.get(cs), state))
    })?;
    // What is refused is dropped where nothing is guarded any more.
    match Loose::bind(state, handler, pool) {
        Ok(handler) => register_guarded(context.id(), registration, handler),
        Err((error, _handler)) => {
            guard::close();
            Err(error)
        }
    }
}

/// Registers a handler, which is dropped when it is refused. Others may run meanwhile.
///
/// # Errors
/// As [`admit`], and those of the core.
pub(crate) fn register(
    context: ContextId,
    registration: Registration,
    handler: Loose,
) -> Result<EventId, Error> {
    try_register(context, registration, handler).map_err(|(error, _)| error)
}

/// [`register`], in a guarded call that was [opened](guard::open), and is closed by this.
#[inline(never)]
pub(crate) fn register_guarded(
    context: ContextId,
    registration: Registration,
    handler: Loose,
) -> Result<EventId, Error> {
    let registered = section(|cs| {
        let event = enter(cs, context, registration, &handler).ok()?;
        guard::close_in(cs);
        Some(event)
    });
    let Some(event) = registered else { return refused(context, registration, handler) };
    // It is the core's, until it gives it back.
    let _ = handler.keep();
    Ok(event)
}

/// A handler has been refused once, in a guarded call: once more, which makes room if that is all it
/// takes, and else says why.
#[cold]
#[inline(never)]
fn refused(
    context: ContextId,
    registration: Registration,
    handler: Loose,
) -> Result<EventId, Error> {
    let registered = try_register(context, registration, handler);
    guard::close();
    // What has been refused is dropped where nothing is guarded any more.
    registered.map_err(|(error, _handler)| error)
}

/// [`register`], which gives back a handler that is refused.
#[cold]
fn try_register(
    context: ContextId,
    registration: Registration,
    handler: Loose,
) -> Result<EventId, (Error, Loose)> {
    match place(context, registration, &handler) {
        Ok(event) => {
            // It is the core's, until it gives it back.
            let _ = handler.keep();
            Ok(event)
        }
        Err(error) => Err((error, handler)),
    }
}

fn place(
    context: ContextId,
    registration: Registration,
    handler: &Loose,
) -> Result<EventId, Error> {
    loop {
        let entered = section(|cs| {
            registry::get(cs, context)?;
            enter(cs, context, registration, handler)
        });
        let refused = match entered {
            Err(Error::TableFull) => Error::TableFull,
            Err(Error::LimitReached) => {
                let error = section(|cs| policy::refuse(cs, context));
                let most =
                    section(|cs| registry::get(cs, context).map(|it| it.lineage.get(cs).limits));
                let most = most.map_or(0, |limits| limits.registrations);
                refusal::tell(
                    context.index,
                    &format_args!("a registration: it may have {most}, and has them"),
                );
                return Err(error);
            }
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

/// Gives the core a handler, if it is admitted. That the context has this name the core says.
#[inline(always)]
fn enter(
    cs: &Section,
    context: ContextId,
    registration: Registration,
    handler: &Loose,
) -> Result<EventId, Error> {
    if admit_at(cs, registry::existing(cs, context.index)?, handler)? {
        calls::route(cs, handler.handler().header(), true);
    }
    with_core(cs, |core| core.register(context, registration, handler.handler().handler()))
}

/// Whether a handler may become one of a context's, and whether its calls are then limited in time.
/// Every handler comes through here, or [`admit_at`], on its way to a registration.
///
/// # Errors
/// [`Error::NoContext`], [`Error::Busy`] when the context has been given up and not been restarted;
/// [`Error::Foreign`] and [`Error::WrongState`] when the handler lies in another context's memory, or
/// is for a state that this context has not, or has no more.
fn admit(cs: &Section, context: ContextId, handler: &Loose) -> Result<bool, Error> {
    admit_at(cs, registry::get(cs, context)?, handler)
}

/// [`admit`], for the context at a place.
#[inline(always)]
fn admit_at(cs: &Section, place: &ContextBlock, handler: &Loose) -> Result<bool, Error> {
    handler.fits(place.pool.get(cs), place.state.get(cs))?;
    Ok(supervision::living(place)?.is_some_and(|living| living.budget.is_some()))
}

/// Gives a registration of a context another handler. What is pending stays for that one, and so do
/// its timers, its filter and its deadline. The former handler, or the new one if that is refused, is
/// dropped [later](retire::later).
///
/// # Errors
/// As [`admit`]; [`Error::Stale`]; [`Error::Foreign`] when the registration is another context's;
/// [`Error::Busy`] when its handler is on the context's stack.
pub(crate) fn rebind(context: ContextId, event: EventId, handler: Loose) -> Result<(), Error> {
    section(|cs| {
        let admitted = admit(cs, context, &handler).and_then(|limited| {
            let (former, priority) = with_core(cs, |core| {
                let priority = core.look_up(event)?.registration.priority;
                Ok((core.rebind(context, event, handler.handler().handler())?, priority))
            })?;
            Ok((limited, former, priority))
        });
        let handler = handler.keep();
        match admitted {
            Ok((limited, former, priority)) => {
                // SAFETY: the core gave it back, so it does not run and is never called again; it lies
                // in the context's memory, as all handlers of its registrations do, and as the new one
                // does.
                let former = unsafe { Retired::take_over(former, handler.pool()) };
                // The new one is the core's.
                handler.header().adopt(cs, former.header());
                calls::route(cs, handler.header(), limited);
                retire::later(cs, context, former, priority);
                Ok(())
            }
            Err(error) => {
                retire::later(cs, context, handler, Priority::DEFAULT);
                Err(error)
            }
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
        unsafe { place.add(index).write(Record::free_on(core_words::number())) };
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
                let last = registered(cs, core, event)?.goes_by::<Last>();
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

/// Ends a registration; returns how many occurrences its handler was not told of. What that has
/// captured is dropped in its context: by this, or [later](retire::end).
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn end(event: EventId) -> Result<u32, Error> {
    let ended = section(|cs| {
        let plain = {
            let mut core = borrow_core(cs);
            !core.waits(event)? && registered(cs, &mut core, event)?.is_plain()
        };
        if plain { end_plain(cs, event).map(|()| true) } else { Ok(false) }
    })?;
    if ended { Ok(0) } else { retire::end(event) }
}

/// Ends a registration, whatever is beside it. What its handler has captured is dropped
/// [later](retire::end_in).
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn unregister(cs: &Section, event: EventId) -> Result<(), Error> {
    let (_, outcome) = with_core(cs, |core| core.silence(event))?;
    note(outcome);
    retire::end_in(cs, event, false)?.finish_in(cs);
    Ok(())
}

/// Ends a registration that has nothing pending, and nothing but a handler that leaves nothing but its memory.
#[inline(always)]
fn end_plain(cs: &Section, event: EventId) -> Result<(), Error> {
    let ended = borrow_core(cs).unregister(event)?;
    let Unregistered { context, handler, outcome, .. } = ended;
    note(outcome);
    let place = registry::existing(cs, context.index)?;
    if let Some(handler) = handler {
        // SAFETY: the core gave it back, so it does not run and is never called again; it lies in its
        // context's memory.
        let handler = unsafe { Retired::take_over(handler, place.pool.get(cs)) };
        handler.drop_captured().free();
    }
    if let Some(worker_ref) = place.worker_ref.get(cs) {
        worker_ref.left(cs);
    }
    Ok(())
}
