//! Replacing one context's implementation while the others serve (A-2.4).
//!
//! The replacement is itself an activation of the context: when it runs, no handler of the context
//! is on its stack, and none can begin before it is done. What occurs meanwhile is queued as ever
//! and is for the new handlers. In order:
//!
//! 1. every registration must have been named: given a new handler, or to be ended. Else nothing
//!    changes;
//! 2. the old state is handed over; the application makes the new one of it, or declines and gives
//!    it back, and then nothing changes either;
//! 3. in one section the context's state becomes the new one: old handles are refused from there on;
//! 4. one registration after the other gets its new handler; its timer, its filter, its deadline and
//!    what it has pending stay;
//! 5. it is told how it went, and what is left of the application's is dropped.
//!
//! All but the application's parts, in 2 and 5, is guarded: the context is not given up in between.
//! Whatever else may end the replacement without an outcome drops its [`Teller`], which then says that
//! the context was given up: a caller that waits is told in every case.

use crate::context::registry;
use crate::cpu::bound::StateCell;
use crate::cpu::local::Local;
use crate::cpu::loose::Loose;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::section;
use crate::event::{activate, table};
use crate::replace::act::{Act, Work};
use crate::replace::error::ReplaceError;
use crate::replace::pending::{Pending, Shared, Teller};
use crate::replace::plan::{Others, Replacement};
use crate::replace::rebinding::{Rebinding, Service};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use reflex_event::{Context, ContextId, ContextState, Error, Priority, Registration};
use reflex_memory::Lent;

impl Runtime {
    /// Prepares to replace the implementation of `context` by one with a state of type `New`.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::OutOfMemory`]; [`Error::NotAllowed`] for a cloner's child, and
    /// for a context that runs no handlers: a cloner's queueing context, a completion ring.
    pub fn replacement<New: 'static>(self, context: ContextId) -> Result<Replacement<New>, Error> {
        let pool = section(|cs| {
            let place = registry::get(cs, context)?;
            let (state, _) = with_core(cs, |core| core.context_state(context))?;
            let apart = place.worker_ref.get(cs).is_some() || state == ContextState::Taken;
            if apart { Err(Error::NotAllowed) } else { Ok(place.pool.get(cs)) }
        })?;
        let cell: Lent<StateCell<New>> =
            pool.alloc(StateCell::empty()).map_err(|_| Error::OutOfMemory)?;
        let (cell, _) = cell.into_raw();
        let rebinding = Rebinding::new(context, pool, cell);
        // SAFETY: given up two lines above; handlers refer to it, and are gone before it.
        let cell = Some(unsafe { Lent::from_raw(cell, pool) });
        let (services, others, priority) = (Vec::new(), Others::Refused, None);
        Ok(Replacement { kernel: self, context, rebinding, cell, services, others, priority })
    }
}

impl<New: 'static> Replacement<New> {
    /// The registrations and their handlers to come.
    pub fn rebinding(&mut self) -> &mut Rebinding<New> {
        &mut self.rebinding
    }

    /// Has `service` take part.
    pub fn service(&mut self, service: impl Service<New> + 'static) {
        self.services.push(Box::new(service));
    }

    /// Registrations that nobody has named are to be ended.
    pub fn end_others(&mut self) {
        self.others = Others::Ended;
    }

    /// The priority of the replacement. Unless said here it is the highest of the context's
    /// registrations, so that none of them can keep it waiting.
    pub fn priority(&mut self, priority: Priority) {
        self.priority = Some(priority);
    }

    /// Has the context replaced as soon as none of its handlers is on its stack. `convert` makes
    /// the new state of the old one, in the context itself; by `Err` it declines and gives the old
    /// state back.
    ///
    /// # Errors
    /// [`Error::WrongState`] when the context's state is no `Old`; [`Error::NoContext`],
    /// [`Error::OutOfMemory`]; those of registering.
    pub fn submit<Old, C>(self, convert: C) -> Result<Pending<New>, Error>
    where
        Old: 'static,
        C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
    {
        let (kernel, context) = (self.kernel, self.context);
        let (pool, old) = section(|cs| registry::state_and_pool(cs, context))?;
        old.downcast::<Old>().ok_or(Error::WrongState)?;
        let memory = pool.alloc(MaybeUninit::uninit()).map_err(|_| Error::OutOfMemory)?;
        let priority = match self.priority {
            Some(priority) => priority,
            None => highest(context)?,
        };
        let shared = Arc::new(Local::new(Shared { outcome: None, notify: None }));
        let pending = Pending { kernel, shared: shared.clone() };
        let work = Work { teller: Teller(shared), plan: self, memory, old, convert };
        let act: Act<Old, New, C> = Act::new(work);
        let handler = Loose::own(pool.alloc(act).map_err(|_| Error::OutOfMemory)?);
        let registration = Registration { priority, ..Registration::default() };
        let event = table::register(context, registration, handler)?;
        activate::activate(event, 1)?;
        Ok(pending)
    }

    /// [Submits](Self::submit) the replacement and waits until it is done.
    ///
    /// The new state is made in the context, so it may take over collections of the context's own; those of
    /// the caller stay where they are:
    ///
    /// ```
    /// # use reflex_memory::String;
    /// # use reflex_runtime::{ReplaceError, Replacement};
    /// fn replace(context: Replacement<String>) -> Result<(), ReplaceError> {
    ///     context.apply(|old: (u32, String)| Ok(old.1)).map(drop)
    /// }
    /// ```
    /// ```compile_fail,E0277
    /// # use reflex_memory::String;
    /// # use reflex_runtime::{ReplaceError, Replacement};
    /// fn replace(context: Replacement<String>, mine: String) -> Result<(), ReplaceError> {
    ///     context.apply(move |_: u32| Ok(mine)).map(drop)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`submit`](Self::submit) and [`Pending::wait`]; [`Error::Busy`] in the context itself,
    /// and with dispatch deferred.
    pub fn apply<Old, C>(self, convert: C) -> Result<Context<New>, ReplaceError>
    where
        Old: 'static,
        C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
    {
        if self.kernel.running() == Some(self.context) || crate::dispatch::section::deferred() {
            return Err(Error::Busy.into());
        }
        self.submit(convert)?.wait()
    }
}

/// The highest priority of a context's registrations: a section each.
fn highest(context: ContextId) -> Result<Priority, Error> {
    let mut highest = Priority::LOWEST;
    table::each(context, |event, priority| {
        let _ = event;
        highest = highest.max(priority);
        Ok::<_, Error>(())
    })?;
    Ok(highest)
}
