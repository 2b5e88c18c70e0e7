//! Making a context: its stack, its event memory, its state.

use crate::context::{kill, policy, protected, registry, supervision};
use crate::cpu;
use crate::cpu::bound::{AnyState, StateCell};
use crate::cpu::context::{ContextBlock, EXIT_WATCHERS, InheritableRegistrations, Lineage};
use crate::cpu::home::{Home, RESERVE};
use crate::cpu::local::{Local, LocalCell};
use crate::cpu::options::{ContextOptions, GRANULE, OnFailure, OwnScheme};
use crate::cpu::set::MOST_CONTEXTS;
use crate::cpu::stack::Stack;
use crate::cpu::supervision::Life;
use crate::dispatch::event_core::with_core;
use crate::dispatch::memory;
use crate::dispatch::section;
use crate::dispatch::section::{Start, section};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;
use reflex_event::{Context, ContextId, Error};
use reflex_memory::{Content, Pool};

/// Makes room.
pub(crate) fn init(start: &Start) -> Result<(), Error> {
    let mut places = Vec::new();
    places.try_reserve_exact(MOST_CONTEXTS).map_err(|_| Error::HeapExhausted)?;
    cpu::this().places.set(start, places);
    Ok(())
}

/// Makes a context. A cold path.
///
/// # Errors
/// [`Error::TooManyContexts`] with [`MOST_CONTEXTS`] there, [`Error::LimitReached`] when its maker
/// may have no more, [`Error::OutOfMemory`] when the machine's memory is used up.
pub(crate) fn add<S: Send + 'static>(
    options: ContextOptions,
    state: S,
) -> Result<Context<S>, Error> {
    add_by(options, None, state)
}

/// [`add`], with event memory that a scheme of its own hands out if there is one.
pub(crate) fn add_by<S: Send + 'static>(
    options: ContextOptions,
    scheme: OwnScheme,
    state: S,
) -> Result<Context<S>, Error> {
    add_any(options, scheme, |pool| place(pool, state)).map(Context::new)
}

/// [`add_by`], with a state that `make` makes of the context's handle. Until then the context has none: no
/// handler can be registered with it.
pub(crate) fn add_knowing<S: Send + 'static>(
    options: ContextOptions,
    scheme: OwnScheme,
    make: impl FnOnce(Context<S>) -> S,
) -> Result<Context<S>, Error> {
    let id = add_any(options, scheme, |_| Ok(AnyState::nothing()))?;
    let context = Context::new(id);
    let state = make(context);
    let (pool, _) = section(|cs| registry::state_and_pool(cs, id))?;
    let state = place(pool, state)?;
    section(|cs| registry::get(cs, id).map(|block| block.state.set(cs, state)))?;
    Ok(context)
}

/// Puts a state where it stays: into its context's event memory.
fn place<S: 'static>(pool: &'static Pool, state: S) -> Result<AnyState, Error> {
    let state = pool.alloc(state).map_err(|_| Error::OutOfMemory)?.leak();
    let cell = pool.alloc(StateCell::new(state)).map_err(|_| Error::OutOfMemory)?.leak();
    Ok(AnyState::new(NonNull::from(cell)))
}

/// Makes a context without its state, which is yet to come: it is held, and down.
pub(crate) fn add_down(options: ContextOptions, scheme: OwnScheme) -> Result<ContextId, Error> {
    let context = add_any(options, scheme, |_| Ok(AnyState::nothing()))?;
    section(|cs| {
        if let Some(supervision) = registry::supervision(cs, context)? {
            supervision.life.set(Life::Down);
        }
        with_core(cs, |core| core.suspend(context))?;
        Ok(context)
    })
}

fn add_any(
    options: ContextOptions,
    scheme: OwnScheme,
    state: impl FnOnce(&'static Pool) -> Result<AnyState, Error>,
) -> Result<ContextId, Error> {
    if options.on_failure != OnFailure::Halt {
        (cpu::this().upcalls.get().ensure_supervisor)()?;
    }
    let (options, lineage) = policy::admit(options)?;
    let parent = lineage.parent;
    make(options, lineage, scheme, state).inspect_err(|error| {
        policy::dismiss(parent);
        let ContextOptions { name, stack, memory, .. } = options;
        if *error == Error::OutOfMemory && !section::deferred() {
            let left = memory::available();
            log::warn!(
                "a context \"{name}\" is refused {stack} bytes of stack and {memory} of event memory: {left} \
                 are left in the machine"
            );
        }
    })
}

fn make(
    options: ContextOptions,
    lineage: Lineage,
    scheme: OwnScheme,
    state: impl FnOnce(&'static Pool) -> Result<AnyState, Error>,
) -> Result<ContextId, Error> {
    let bytes = scheme.as_ref().map(|scheme| scheme.region().len());
    if bytes.is_some_and(|bytes| bytes > options.memory) {
        return Err(Error::LimitReached);
    }
    // Laying out a large pool takes time, during which others may run.
    let reserve = if options.on_failure == OnFailure::Halt { 0 } else { RESERVE };
    let stack = memory::stack_above(options.stack, reserve).ok_or(Error::OutOfMemory)?;
    let top = stack.end;
    let (pool, pool_bytes) = match scheme {
        Some(scheme) => (memory::pool_by(scheme)?, None),
        None => {
            let bytes = options.memory;
            (memory::pool(bytes, GRANULE, Content::Objects)?, Some(bytes))
        }
    };
    let state = state(pool)?;
    let home = Home::new(stack, options.stack, pool_bytes, options.reuse);
    let supervision = supervision::prepare(&options, home)?;
    let place = Box::new(ContextBlock {
        state: LocalCell::new(state),
        pool: LocalCell::new(pool),
        name: options.name,
        refusals: LocalCell::new(0),
        stack: options.stack,
        heap: LocalCell::new(0),
        exit_watchers: LocalCell::new([None; EXIT_WATCHERS]),
        lineage: LocalCell::new(lineage),
        inheritable: Local::new(InheritableRegistrations::NONE),
        worker_pool: LocalCell::new(None),
        worker_ref: LocalCell::new(None),
        supervision,
    });
    section(|cs| {
        let id = cpu::this().places.with(cs, |places| {
            if places.len() == places.capacity() {
                return Err(Error::TooManyContexts);
            }
            let stack = Stack { top, ..Stack::NONE };
            let id = with_core(cs, |core| core.add_context(stack, options.limits))?;
            debug_assert_eq!(usize::from(id.index), places.len());
            places.push(Box::leak(place));
            Ok(id)
        })?;
        pool.set_owner(id.index.into());
        if let Some(supervision) = supervision {
            supervision.index.set(id.index);
            if reserve != 0 {
                kill::set_reserve(id, supervision.home.reserve().start);
            }
        }
        protected::enlist(cs, id, options.policy);
        Ok(id)
    })
}
