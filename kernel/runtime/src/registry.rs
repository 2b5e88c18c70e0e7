//! Contexts as the machine has them: a stack, a state, event memory, a name.

use crate::cpu::bound::{AnyState, StateCell};
use crate::cpu::context::{Heirlooms, Lineage, MOURNERS, Place};
use crate::cpu::home::{Home, RESERVE, Reuse};
use crate::cpu::local::{Local, LocalCell};
use crate::cpu::options::{ContextOptions, GRANULE, OnFailure, OwnScheme};
use crate::cpu::set::MOST_CONTEXTS;
use crate::cpu::stack::Stack;
use crate::cpu::supervision::{Life, Supervision};
use crate::dispatch::with_core;
use crate::section::{Section, Start, section};
use crate::{contain, cpu, memory, policy, supervise, supervisor};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_event::{Context, ContextId, Error, EventId};
use reflex_memory::{Content, Lent, Pool};

/// Makes room, and the idle stack.
pub(crate) fn init(start: &Start) -> Result<(), Error> {
    let top = memory::stack(8 << 10).ok_or(Error::OutOfMemory)?;
    cpu::this().idle_stack.set(start, top);
    let mut places = Vec::new();
    places.try_reserve_exact(MOST_CONTEXTS).map_err(|_| Error::HeapExhausted)?;
    cpu::this().places.set(start, places);
    Ok(())
}

/// Makes a context. A cold path.
///
/// # Errors
/// [`Error::TooManyContexts`] with [`MOST_CONTEXTS`] there, [`Error::LimitReached`] when whoever
/// makes it may have no more, [`Error::OutOfMemory`] when the machine's memory is used up.
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
    let context = add_any(options, scheme, |pool| {
        let state = pool.alloc(state).map_err(|_| Error::OutOfMemory)?.leak();
        let cell = pool.alloc(StateCell::new(state)).map_err(|_| Error::OutOfMemory)?.leak();
        Ok(AnyState::new(NonNull::from(cell)))
    })?;
    Ok(Context::new(context))
}

/// Makes a context whose state is yet to come: it is held, and down.
pub(crate) fn add_down(options: ContextOptions, scheme: OwnScheme) -> Result<ContextId, Error> {
    let context = add_any(options, scheme, |_| Ok(AnyState::nothing()))?;
    section(|cs| {
        if let Some(supervision) = supervision(cs, context)? {
            supervision.life.set(Life::Down);
        }
        with_core(cs, |core| core.hold(context))?;
        Ok(context)
    })
}

fn add_any(
    options: ContextOptions,
    scheme: OwnScheme,
    state: impl FnOnce(&'static Pool) -> Result<AnyState, Error>,
) -> Result<ContextId, Error> {
    if options.on_failure != OnFailure::Halt {
        supervisor::ensure()?;
    }
    let (options, lineage) = policy::admit(options)?;
    let parent = lineage.parent;
    make(options, lineage, scheme, state).inspect_err(|_| policy::dismiss(parent))
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
    let supervision = supervise::prepare(&options, home)?;
    let place = Box::new(Place {
        state: LocalCell::new(state),
        pool: LocalCell::new(pool),
        name: options.name,
        mourners: LocalCell::new([None; MOURNERS]),
        lineage: LocalCell::new(lineage),
        heirlooms: Local::new(Heirlooms::NONE),
        front: LocalCell::new(None),
        member: LocalCell::new(None),
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
                contain::set_reserve(id, supervision.home.reserve().start);
            }
        }
        policy::enlist(cs, id, options.policy);
        Ok(id)
    })
}

/// A context.
#[inline(always)]
pub(crate) fn at(cs: &Section, context: ContextId) -> Result<&'static Place, Error> {
    if with_core(cs, |core| core.exists(context)) {
        existing(cs, context.index)
    } else {
        Err(Error::NoContext)
    }
}

/// The context at a place, whatever it is called now.
#[inline(always)]
pub(crate) fn existing(cs: &Section, index: u16) -> Result<&'static Place, Error> {
    let place = cpu::this().places.with(cs, |places| places.get(usize::from(index)).copied());
    place.ok_or(Error::NoContext)
}

/// The name of the context at a place.
pub(crate) fn name(cs: &Section, index: u16) -> Result<ContextId, Error> {
    with_core(cs, |core| core.context_at(index))
}

/// A context's event memory and state.
#[inline(always)]
pub(crate) fn parts(cs: &Section, context: ContextId) -> Result<(&'static Pool, AnyState), Error> {
    at(cs, context).map(|place| (place.pool.get(cs), place.state.get(cs)))
}

/// Whether the memory of code of a context may be used again when that has been given up.
pub(crate) fn reuse(cs: &Section, context: ContextId) -> Reuse {
    let supervision = supervision(cs, context).ok().flatten();
    supervision.map_or(Reuse::NEVER, |supervision| supervision.home.reuse)
}

/// What is kept of a context that is supervised.
pub(crate) fn supervision(
    cs: &Section,
    context: ContextId,
) -> Result<Option<&'static Supervision>, Error> {
    at(cs, context).map(|place| place.supervision)
}

/// Forgets what a context's state is, and where.
pub(crate) fn forget_state(cs: &Section, context: ContextId) {
    if let Ok(place) = at(cs, context) {
        place.state.set(cs, AnyState::nothing());
    }
}

/// Forgets a value, and frees its memory, if that may be used again.
pub(crate) fn forget<T: ?Sized>(value: Lent<T>, reuse: Reuse) {
    let (value, pool) = value.into_raw();
    if reuse.is_at_once() {
        // SAFETY: given up in the line above, and nobody uses it any more, or points to it.
        unsafe { free_block(value.cast(), pool) };
    }
}

/// Frees a block of event memory without a look at what is in it.
///
/// # Safety
/// The block was taken from `pool` by a [`Lent`] that was leaked, and nobody uses it any more.
pub(crate) unsafe fn free_block(block: NonNull<()>, pool: &'static Pool) {
    // SAFETY: the caller's duty; a `ManuallyDrop` drops nothing.
    drop(unsafe { Lent::from_raw(block.cast::<ManuallyDrop<()>>(), pool) });
}

/// The upper end of the idle stack.
pub(crate) fn idle_stack_top() -> usize {
    *cpu::this().idle_stack.get()
}

/// Who is running, for a crash report.
pub struct Running {
    context: Option<(&'static str, ContextId)>,
    event: Option<EventId>,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.context {
            None => f.write_str("no context (start-up or idle)"),
            Some((name, id)) => {
                write!(f, "context {} \"{name}\"", id.index)?;
                match self.event {
                    Some(event) => write!(f, ", event {}.{}", event.index, event.generation),
                    None => f.write_str(", between events"),
                }
            }
        }
    }
}

/// Who is running now, and for what event. For a crash report: it looks without excluding
/// anybody, because after a crash nobody else runs.
pub fn describe_running() -> Running {
    // SAFETY: as said above; a table caught in the middle of a change yields a wrong name at
    // worst, since all accesses below are checked.
    let (core, places) =
        unsafe { (&mut *cpu::this().core.as_ptr(), &*cpu::this().places.as_ptr()) };
    let running = core.running();
    let name = |id: ContextId| places.get(usize::from(id.index)).map(|place| (place.name, id));
    Running {
        context: running.and_then(name),
        event: running.and_then(|context| core.serving(context)),
    }
}
