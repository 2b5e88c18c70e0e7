//! The beginning of a context's life, when its state is made by a constructor that runs in the
//! context itself: contained as everything that runs there, and as often as it takes.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{caller, create, registry};
use crate::cpu::bound::{AnyState, StateCell};
use crate::cpu::handler::{Handle, Header, Stateless};
use crate::cpu::loose::Loose;
use crate::cpu::options::{ContextOptions, OnFailure, OwnScheme};
use crate::cpu::reason::{Reason, Text};
use crate::cpu::registers::Registers;
use crate::cpu::runtime::Runtime;
use crate::cpu::supervision::{Construct, Life, Supervision};
use crate::dispatch::event_core::{note, running, with_core};
use crate::dispatch::section::section;
use crate::event::activate::activate_deferred;
use crate::event::table;
use crate::failure::contain;
use alloc::boxed::Box;
use core::fmt::{Display, Write};
use core::ptr::NonNull;
use reflex_event::{Context, ContextId, Error, EventId, Priority, Registration};
use reflex_memory::{Own, Pool};

/// The handler that makes a context's state.
#[repr(C)]
struct Begin<S: 'static, C: 'static> {
    _header: Header,
    cell: &'static StateCell<S>,
    constructor: &'static C,
}

impl<S, C, E> Begin<S, C>
where
    S: 'static,
    C: Fn(Context<S>, Own<'_>) -> Result<S, E> + Send + Sync + 'static,
    E: Display,
{
    /// # Safety
    /// `constructor` is a `C` that lives for ever.
    unsafe fn prepare(
        constructor: NonNull<()>,
        pool: &'static Pool,
    ) -> Result<(AnyState, Loose), Error> {
        // SAFETY: the caller's duty.
        let constructor = unsafe { constructor.cast::<C>().as_ref() };
        let cell = pool.alloc(StateCell::<S>::empty()).map_err(|_| Error::OutOfMemory)?;
        // Leaked: it stays at least as long as there are handlers for it.
        let cell: &'static StateCell<S> = cell.leak();
        let state = AnyState::new(NonNull::from(cell));
        match pool.alloc(Self { _header: Header::of::<Self>(), cell, constructor }) {
            Ok(begin) => Ok((state, Loose::own(begin))),
            Err(_) => {
                // SAFETY: nobody else has seen the cell, which has no state to be dropped.
                unsafe { registry::free_block(state.block(), pool) };
                Err(Error::OutOfMemory)
            }
        }
    }
}

// SAFETY: it begins with its header; it refers to what lives for ever, and drops nothing.
unsafe impl<S, C, E> Handle for Begin<S, C>
where
    S: 'static,
    C: Fn(Context<S>, Own<'_>) -> Result<S, E> + Send + Sync + 'static,
    E: Display,
{
    unsafe fn call(&self, event: EventId, _: u32) {
        let Some(supervision) = started(event) else { return };
        let context = section(|cs| supervision.context(cs));
        let Ok((pool, _)) = section(|cs| registry::state_and_pool(cs, context)) else { return };
        let mut words = Text::EMPTY;
        match with_own(pool, |own| (self.constructor)(Context::new(context), own)) {
            Ok(state) => match pool.alloc(state) {
                Ok(state) => {
                    let state = state.leak();
                    let [cell, _] = supervision.blocks.get();
                    supervision.blocks.set([cell, Some(NonNull::from(&mut *state).cast())]);
                    return self.cell.put(state);
                }
                Err(_) => {
                    let _ = write!(words, "{}", Error::OutOfMemory);
                }
            },
            Err(error) => {
                let _ = write!(words, "{error}");
            }
        }
        refuse(supervision, words)
    }
}

// SAFETY: the cell is its own, of a state that there is not before it has run.
unsafe impl<S, C, E> Stateless for Begin<S, C>
where
    S: 'static,
    C: Fn(Context<S>, Own<'_>) -> Result<S, E> + Send + Sync + 'static,
    E: Display,
{
}

/// Runs `work` with the right to boxes of the running context's own, of which `pool` is.
fn with_own<R>(pool: &'static Pool, work: impl for<'run> FnOnce(Own<'run>) -> R) -> R {
    // SAFETY: the pool is that of the running context, and `work` is that one's code; it has to
    // accept any lifetime, and lends nothing to another flow of control. The pool is not reclaimed
    // before the context has been given up.
    work(unsafe { Own::new(pool) })
}

/// The running context's constructor is to run, once.
fn started(event: EventId) -> Option<&'static Supervision> {
    section(|cs| {
        let _ = table::unregister(cs, event);
        let running = running(cs)?;
        registry::supervision(cs, running).ok()?
    })
}

/// The running context has refused to start.
fn refuse(supervision: &'static Supervision, words: Text) -> ! {
    supervision.text.set(words);
    contain::fail(supervision, Reason::Refused, &Registers::here())
}

/// Begins a life of a context that is down.
pub(crate) fn begin(supervision: &'static Supervision) {
    let worker_ref =
        section(|cs| registry::get(cs, supervision.context(cs)).ok()?.worker_ref.get(cs));
    if let Some(worker_ref) = worker_ref {
        return supervision.make_anew(worker_ref);
    }
    if let Err(error) = try_begin(supervision) {
        section(|cs| supervision.refused(cs, error));
    }
}

fn try_begin(supervision: &'static Supervision) -> Result<(), Error> {
    let context = section(|cs| supervision.context(cs));
    let construct = supervision.constructor.get().ok_or(Error::NotAllowed)?;
    if supervision.life.get() != Life::Down {
        return Err(Error::Busy);
    }
    supervision.move_house(context)?;
    let (pool, _) = section(|cs| registry::state_and_pool(cs, context))?;
    // SAFETY: the two were made for each other by `Runtime::construct`.
    let (state, handler) = unsafe { (construct.prepare)(construct.constructor, pool) }?;
    let registration = Registration { priority: construct.priority, ..Registration::default() };
    supervision.life.set(Life::Beginning);
    let registered = table::register(context, registration, handler);
    let event = registered.inspect_err(|_| {
        supervision.life.set(Life::Down);
        // SAFETY: nobody else has seen it, and the handler is gone; there is no state in it to be
        // dropped.
        unsafe { registry::free_block(state.block(), pool) };
    })?;
    section(|cs| {
        registry::get(cs, context)?.state.set(cs, state);
        supervision.blocks.set([Some(state.block()), None]);
        supervision.started(cs);
        note(with_core(cs, |core| core.resume(context))?);
        activate_deferred(cs, event, 1)
    })
}

impl Runtime {
    /// Makes a context with a state that is made by `constructor`, which runs in the context itself
    /// at `priority`, now and for each restart; there it may register handlers, and has boxes of
    /// the context's own. What it captures is shared by all its runs, and one of them may have been
    /// cut off. A cold path.
    ///
    /// # Errors
    /// Those of making a context; [`Error::NotAllowed`] when the options say
    /// [`OnFailure::Halt`]. What the constructor returns is told as a failure of the context.
    pub fn construct<S, C, E>(
        self,
        options: ContextOptions,
        scheme: OwnScheme,
        priority: Priority,
        constructor: C,
    ) -> Result<Context<S>, Error>
    where
        S: 'static,
        C: Fn(Context<S>, Own<'_>) -> Result<S, E> + Send + Sync + 'static,
        E: Display,
    {
        let constructor = NonNull::from(Box::leak(Box::new(constructor))).cast();
        let prepare = Begin::<S, C>::prepare;
        let construct = Construct { constructor, prepare, priority };
        self.begin(options, scheme, construct).map(Context::new)
    }

    fn begin(
        self,
        options: ContextOptions,
        scheme: OwnScheme,
        construct: Construct,
    ) -> Result<ContextId, Error> {
        if options.on_failure == OnFailure::Halt {
            return Err(Error::NotAllowed);
        }
        let context = create::add_down(options, scheme)?;
        let supervision =
            section(|cs| registry::supervision(cs, context))?.ok_or(Error::NotAllowed)?;
        supervision.constructor.set(Some(construct));
        begin(supervision);
        Ok(context)
    }

    /// Runs `work` with the right to boxes of the calling context's own.
    ///
    /// # Errors
    /// [`Error::Busy`] outside any context, and in a filter.
    pub fn own<R>(self, work: impl for<'run> FnOnce(Own<'run>) -> R) -> Result<R, Error> {
        let running = caller::own()?;
        let pool = section(|cs| registry::state_and_pool(cs, running).map(|(pool, _)| pool))?;
        Ok(with_own(pool, work))
    }
}
