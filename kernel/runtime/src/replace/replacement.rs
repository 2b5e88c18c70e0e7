//! Replacing one context's implementation while the others serve.
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
//! the context was given up: whoever waits is told in every case.

use crate::context::attempt::attempt;
use crate::context::{guard, registry};
use crate::cpu::bound::{AnyState, StateCell};
use crate::cpu::handler::{Handle, Header, Stateless};
use crate::cpu::local::Local;
use crate::cpu::loose::Loose;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{tell, with_core};
use crate::dispatch::section::section;
use crate::event::wait::Waiter;
use crate::event::{activate, table};
use crate::replace::rebinding::{Rebinding, Service};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use reflex_event::{
    Condition, Context, ContextId, Error, EventId, EventSystem, Priority, Registration, Trouble,
};
use reflex_memory::Lent;

/// Why a context was not replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplaceError {
    /// This registration was neither given a new handler nor named as one to be ended. Nothing has
    /// changed.
    Unnamed(EventId),
    /// The application declined. The old implementation is in place, with its state.
    Declined,
    /// The context was given up before it was replaced. Its old state is lost, as after any failure
    /// in a handler.
    Stopped,
    /// The event system refused. Nothing has changed.
    Event(Error),
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed(event) => {
                write!(f, "event {}.{} was given no new handler", event.index, event.generation)
            }
            Self::Declined => f.write_str("the application declined the replacement"),
            Self::Stopped => f.write_str("the context was given up before it was replaced"),
            Self::Event(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReplaceError {}

impl From<Error> for ReplaceError {
    fn from(error: Error) -> Self {
        Self::Event(error)
    }
}

/// What becomes of registrations that nobody has named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Others {
    Refused,
    Ended,
}

/// What takes part in a replacement.
type Services<New> = Vec<Box<dyn Service<New>>>;

/// A replacement about to be made; see [`Runtime::replacement`].
#[must_use = "a context is replaced by `submit` or `apply`"]
pub struct Replacement<New: 'static> {
    kernel: Runtime,
    context: ContextId,
    /// Before the cell, which its handlers are bound to.
    rebinding: Rebinding<New>,
    /// Until it is the context's.
    cell: Option<Lent<StateCell<New>>>,
    services: Services<New>,
    others: Others,
    priority: Option<Priority>,
}

/// How a replacement went, shared by both sides.
struct Shared<New> {
    outcome: Option<Result<Context<New>, ReplaceError>>,
    notify: Option<EventId>,
}

/// A replacement under way.
pub struct Pending<New: 'static> {
    kernel: Runtime,
    shared: Arc<Local<Shared<New>>>,
}

impl<New: 'static> Pending<New> {
    /// How it went; `None` as long as it is under way.
    pub fn outcome(&self) -> Option<Result<Context<New>, ReplaceError>> {
        section(|cs| self.shared.with(cs, |shared| shared.outcome))
    }

    /// Has `event` activated when there is an [outcome](Self::outcome), which may be now.
    pub fn notify(&self, event: EventId) {
        section(|cs| {
            let done = self.shared.with(cs, |shared| {
                shared.notify = Some(event);
                shared.outcome.is_some()
            });
            if done {
                let _ = activate::activate_deferred(cs, event, 1);
            }
        });
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// The outcome's; those of [`Waiter::new`] and [`Waiter::wait`].
    pub fn wait(&self) -> Result<Context<New>, ReplaceError> {
        loop {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            let waiter = Waiter::new(self.kernel)?;
            self.notify(waiter.event());
            let _ = waiter.wait()?;
        }
    }
}

/// What says how it went: at the latest when it is dropped.
struct Teller<New: 'static>(Arc<Local<Shared<New>>>);

impl<New: 'static> Teller<New> {
    /// Says how it went, unless that has been said.
    fn tell(&self, outcome: Result<Context<New>, ReplaceError>) {
        section(|cs| {
            let notify = self.0.with(cs, |shared| {
                if shared.outcome.is_some() {
                    return None;
                }
                shared.outcome = Some(outcome);
                shared.notify
            });
            if let Some(event) = notify {
                let _ = activate::activate_deferred(cs, event, 1);
            }
        });
    }
}

impl<New: 'static> Drop for Teller<New> {
    fn drop(&mut self) {
        self.tell(Err(ReplaceError::Stopped));
    }
}

impl Runtime {
    /// Prepares to replace the implementation of `context` by one whose state is a `New`.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::OutOfMemory`]; [`Error::NotAllowed`] for a cloner's child, and
    /// for a context whose handlers are never run: a cloner's front, a completion ring.
    pub fn replacement<New: 'static>(self, context: ContextId) -> Result<Replacement<New>, Error> {
        let pool = section(|cs| {
            let place = registry::at(cs, context)?;
            let (condition, _) = with_core(cs, |core| core.condition(context))?;
            let apart = place.member.get(cs).is_some() || condition == Condition::Taken;
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
        let (pool, old) = section(|cs| registry::parts(cs, context))?;
        old.downcast::<Old>().ok_or(Error::WrongState)?;
        let memory = pool.alloc(MaybeUninit::uninit()).map_err(|_| Error::OutOfMemory)?;
        let priority = match self.priority {
            Some(priority) => priority,
            None => highest(context)?,
        };
        let shared = Arc::new(Local::new(Shared { outcome: None, notify: None }));
        let pending = Pending { kernel, shared: shared.clone() };
        let work = Work { teller: Teller(shared), plan: self, memory, old, convert };
        let act: Act<Old, New, C> = Act {
            _header: Header::of::<Act<Old, New, C>>(),
            begun: Cell::new(false),
            work: Cell::new(Some(work)),
            of: PhantomData,
        };
        let handler = Loose::own(pool.alloc(act).map_err(|_| Error::OutOfMemory)?);
        let registration = Registration { priority, ..Registration::default() };
        let event = table::register(context, registration, handler)?;
        kernel.activate(event, 1)?;
        Ok(pending)
    }

    /// [Submits](Self::submit) the replacement and waits until it is done.
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

/// All that a replacement needs when it runs.
struct Work<New: 'static, C> {
    /// First, so that whoever waits is told whatever becomes of the rest.
    teller: Teller<New>,
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
    /// The state to be replaced.
    old: AnyState,
    convert: C,
}

/// The handler of a replacement.
#[repr(C)]
struct Act<Old: 'static, New: 'static, C> {
    _header: Header,
    /// The work is being done, or dropped.
    begun: Cell<bool>,
    work: Cell<Option<Work<New, C>>>,
    of: PhantomData<fn(Old)>,
}

impl<Old: 'static, New: 'static, C> Act<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    /// Does the work. What is the application's, and is not needed any more, is dropped last, where
    /// nothing is guarded.
    fn run(&self, own: EventId) {
        let (value, convert, services) = (Cell::new(None), Cell::new(None), Cell::new(Vec::new()));
        guard::keep(
            || {
                self.begun.set(true);
                let Work { teller, mut plan, memory, old, convert: by } =
                    self.work.take().ok_or(())?;
                convert.set(Some(by));
                let taken = plan.name_all(own).and_then(|()| take_state::<Old>(plan.context, old));
                match taken {
                    Ok(old) => {
                        // SAFETY: valid and ours alone: taken out of its cell. What is left is
                        // treated as not there, until something is written to it.
                        value.set(Some(unsafe { old.1.read() }));
                        Ok(Kept { teller, plan, memory, old: Some(old) })
                    }
                    Err(refused) => {
                        services.set(plan.services);
                        end(own, &teller, Err(refused));
                        Err(())
                    }
                }
            },
            |_| &[],
            |kept, _| kept.stopped(),
            |_| convert.take().zip(value.take()).map(|(convert, value)| convert(value)),
            |Kept { teller, mut plan, memory, old }, converted| {
                let (Some((cell, state)), Some(converted)) = (old, converted) else { return };
                let outcome = match converted {
                    Ok(fresh) => Ok(plan.replace(own, memory, fresh, (cell, state))),
                    Err(value) => {
                        // SAFETY: the state's own memory, which stays, as does its cell.
                        unsafe {
                            state.write(value);
                            cell.as_ref().put(&mut *state.as_ptr());
                        }
                        Err(ReplaceError::Declined)
                    }
                };
                services.set(plan.services);
                end(own, &teller, outcome);
            },
        );
    }
}

impl<Old: 'static, New: 'static, C> Drop for Act<Old, New, C> {
    fn drop(&mut self) {
        // Before anything of the work is touched: if that is not finished, it is not whole.
        self.begun.set(true);
    }
}

// SAFETY: it begins with its header. All that it has may be dropped anywhere.
unsafe impl<Old: 'static, New: 'static, C> Handle for Act<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    const FORGETS: bool = true;

    unsafe fn call(&self, event: EventId, _: u32) {
        self.run(event);
    }

    fn forget(&self) {
        // What has not been begun is whole, since that is said before anything of it is touched.
        let work = if self.begun.get() { None } else { self.work.take() };
        if let Some(Work { teller, plan, memory, old: _, convert }) = work {
            // What the conversion has captured is the application's.
            let _ = section(|cs| attempt(cs, plan.context, || drop(convert)));
            Kept::<Old, New> { teller, plan, memory, old: None }.stopped();
        }
    }
}

// SAFETY: it looks itself whether the state is still the one that it replaces.
unsafe impl<Old: 'static, New: 'static, C> Stateless for Act<Old, New, C> where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static
{
}

/// A replacement ends, and so does its registration. It is running, so it is registered.
fn end<New>(own: EventId, teller: &Teller<New>, outcome: Result<Context<New>, ReplaceError>) {
    let _ = table::end(own);
    teller.tell(outcome);
}

/// A state that was taken out of its cell.
type Taken<Old> = (NonNull<StateCell<Old>>, NonNull<Old>);

/// Takes a context's state out of its cell, if it is still `old`, which is an `Old`.
fn take_state<Old: 'static>(context: ContextId, old: AnyState) -> Result<Taken<Old>, ReplaceError> {
    let (_, present) = section(|cs| registry::parts(cs, context))?;
    if present.id() != old.id() {
        return Err(Error::WrongState.into());
    }
    let cell = present.downcast::<Old>().ok_or(Error::WrongState)?;
    // SAFETY: a context's cell lives as long as it has this state, and is looked at in runs of its
    // handlers alone, of which this is one.
    let state = unsafe { cell.as_ref() }.take().ok_or(Error::Busy)?;
    Ok((cell, NonNull::from(state)))
}

/// What is to be cleared away when the context is given up in the middle of its replacement.
struct Kept<Old: 'static, New: 'static> {
    teller: Teller<New>,
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
    old: Option<Taken<Old>>,
}

// SAFETY: handlers, services and what `convert` has not been given are `Send`; the memory holds
// nothing; the old state's is used in its own context alone; the rest is touched in sections.
unsafe impl<Old, New> Send for Kept<Old, New> {}

impl<Old: 'static, New: 'static> Kept<Old, New> {
    fn stopped(mut self) {
        self.teller.tell(Err(ReplaceError::Stopped));
        // What the services have captured is the application's.
        let services = core::mem::take(&mut self.plan.services);
        let _ = section(|cs| attempt(cs, self.plan.context, || drop(services)));
    }
}

impl<New: 'static> Replacement<New> {
    /// Has every registration named but `own`.
    fn name_all(&mut self, own: EventId) -> Result<(), ReplaceError> {
        for service in &mut self.services {
            service.bind(&mut self.rebinding)?;
        }
        self.rebinding.sort();
        let (rebinding, others) = (&mut self.rebinding, self.others);
        table::each(self.context, |event, _| {
            if event == own || rebinding.names(event) {
                return Ok(());
            }
            match others {
                Others::Refused => Err(ReplaceError::Unnamed(event)),
                Others::Ended => Ok(rebinding.end(event)?),
            }
        })
    }

    /// Makes `fresh` the context's state, and gives every registration its new handler. It cannot fail
    /// any more: what was registered since the application handed its state over, by others than
    /// services, and what there is no memory for, is ended, and told as [`Trouble::RegistrationLost`].
    fn replace<Old>(
        &mut self,
        own: EventId,
        mut memory: Lent<MaybeUninit<New>>,
        fresh: New,
        (old_cell, old_state): Taken<Old>,
    ) -> Context<New> {
        let (context, state) = (self.context, self.rebinding.state());
        memory.write(fresh);
        let (place, pool) = memory.into_raw();
        if let Some(cell) = state.downcast::<New>() {
            // SAFETY: written above, given up by its box, and it stays for ever, like every state. The
            // cell is kept as long as the context has this state: its box is given up below.
            unsafe { cell.as_ref().put(place.cast::<New>().as_mut()) };
        }
        while !self.try_switch(own, place.cast()) {}
        if let Some(cell) = self.cell.take() {
            let _ = cell.into_raw();
        }
        for (event, handler) in self.rebinding.take() {
            // Either is refused when the registration has ended meanwhile.
            let _ = match handler {
                Some(handler) => table::rebind(context, event, handler),
                None => table::end(event).map(drop),
            };
        }
        // SAFETY: nobody is left who refers to the old cell or state; both lie in blocks of their own
        // that were given up when they were made.
        unsafe {
            drop(Lent::from_raw(old_state.cast::<MaybeUninit<Old>>(), pool));
            drop(Lent::from_raw(old_cell, pool));
        }
        Context::new(context)
    }

    /// Makes the state to come, which lies in `block`, the context's, unless there have come
    /// registrations meanwhile that nobody has named.
    fn try_switch(&mut self, own: EventId, block: NonNull<()>) -> bool {
        let (context, state) = (self.context, self.rebinding.state());
        let last = section(|cs| with_core(cs, |core| core.first_of(context)));
        for service in &mut self.services {
            // Without memory for new handlers, some stay unnamed.
            let _ = service.bind(&mut self.rebinding);
        }
        self.rebinding.sort();
        let rebinding = &self.rebinding;
        let _ = table::each(context, |event, _| {
            if event != own && !rebinding.names(event) && table::end(event).is_ok() {
                section(|cs| tell(cs, context, Trouble::RegistrationLost));
            }
            Ok::<_, Error>(())
        });
        let (services, fresh) = (&mut self.services, Context::new(context));
        section(|cs| {
            let unchanged = with_core(cs, |core| core.first_of(context)) == last;
            if unchanged && let Ok(place) = registry::at(cs, context) {
                place.state.set(cs, state);
                if let Some(supervision) = place.supervision {
                    supervision.replaced([state.block(), block]);
                }
                services.iter_mut().for_each(|service| service.hand_over(fresh));
            }
            unchanged
        })
    }
}
