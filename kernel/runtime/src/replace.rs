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
//! 5. it is told how it went, and what the old handlers have captured is dropped.
//!
//! All but the application's parts, in 2 and 5, is guarded: the context is not given up in between.
//! Whatever else may end the replacement without an outcome drops its [`Teller`], who then says that
//! the context was given up: whoever waits is told in every case.

use crate::bound::{AnyState, Header, Kind, Loose, StateCell};
use crate::dispatch::{self, CORE, note, timestamp};
use crate::guard;
use crate::local::Local;
use crate::registry;
use crate::runtime::Runtime;
use crate::section::section;
use crate::table;
use crate::wait::Waiter;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use reflex_event::{
    Activation, Condition, Context, ContextId, Error, EventId, Kernel, Priority, Registration,
    Trouble,
};
use reflex_memory::{Lent, Pool};

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

/// Something that registers with a context as it needs to, like an open port with a registration a
/// connection, and takes part in the replacement of that context.
pub trait Service<New: 'static>: Send {
    /// Gives each of its registrations that has none yet a new handler. Called twice or more.
    ///
    /// # Errors
    /// Those of [`Rebinding::bind`].
    fn bind(&mut self, rebinding: &mut Rebinding<New>) -> Result<(), Error>;

    /// From here on it registers with the new context. Called in a section.
    fn hand_over(&mut self, context: Context<New>);
}

/// Registrations, each with its handler to come; or, when it has come, with the former one.
type Named = Vec<(EventId, Option<Loose>)>;

/// The registrations of a context, each with its handler to come.
pub struct Rebinding<New: 'static> {
    context: ContextId,
    pool: &'static Pool,
    /// The state to come.
    state: AnyState,
    /// Sorted by identifier when `sorted` says so. Without a handler they are to be ended.
    named: Named,
    sorted: usize,
    of: PhantomData<fn(&mut New)>,
}

// SAFETY: the state's cell is empty, or has the state of a context in whose runs alone it is looked
// at; the rest is `Send`.
unsafe impl<New> Send for Rebinding<New> {}

impl<New: 'static> Rebinding<New> {
    /// The context, as it will be.
    pub fn context(&self) -> Context<New> {
        Context::new(self.context)
    }

    /// Gives a registration `handler`, unless it has been named before, or has ended.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it is another context's; [`Error::NoContext`] when the context has
    /// ended; [`Error::OutOfMemory`] when the context's event memory, or the heap, is exhausted.
    pub fn bind(
        &mut self,
        event: EventId,
        handler: impl Fn(&mut New, Activation) + Send + 'static,
    ) -> Result<(), Error> {
        if self.is_to_be_named(event)? {
            self.named.push((event, Some(Loose::bind(self.state, handler, self.pool)?)));
        }
        Ok(())
    }

    /// Names a registration as one to be ended, unless it has been named before, or has ended.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn end(&mut self, event: EventId) -> Result<(), Error> {
        if self.is_to_be_named(event)? {
            self.named.push((event, None));
        }
        Ok(())
    }

    /// Whether a registration is the context's and has not been named: then there is room for it.
    fn is_to_be_named(&mut self, event: EventId) -> Result<bool, Error> {
        if self.names(event) {
            return Ok(false);
        }
        // SAFETY: in a section, and the borrow ends in it.
        match section(|| unsafe { CORE.get() }.owns(self.context, event)) {
            Ok(()) => {}
            Err(Error::Stale) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.named.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        Ok(true)
    }

    fn names(&self, event: EventId) -> bool {
        let (sorted, rest) = self.named.split_at(self.sorted);
        sorted.binary_search_by_key(&event.into_word(), |(event, _)| event.into_word()).is_ok()
            || rest.iter().any(|(named, _)| *named == event)
    }

    fn sort(&mut self) {
        self.named.sort_unstable_by_key(|(event, _)| event.into_word());
        self.sorted = self.named.len();
    }
}

/// What becomes of registrations that nobody has named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Others {
    Refused,
    Ended,
}

/// A replacement about to be made; see [`Runtime::replacement`].
#[must_use = "a context is replaced by `submit` or `apply`"]
pub struct Replacement<New: 'static> {
    kernel: Runtime,
    context: ContextId,
    /// Before the cell, which its handlers are bound to.
    rebinding: Rebinding<New>,
    _cell: Lent<StateCell<New>>,
    services: Vec<Box<dyn Service<New>>>,
    others: Others,
    priority: Option<Priority>,
}

/// How a replacement went, shared by both sides. Reached only in a section.
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
        // SAFETY: in a section, and the borrow ends in it.
        section(|| unsafe { self.shared.get() }.outcome)
    }

    /// Has `event` activated when there is an [outcome](Self::outcome), which may be now.
    pub fn notify(&self, event: EventId) {
        section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let shared = unsafe { self.shared.get() };
            shared.notify = Some(event);
            if shared.outcome.is_some() {
                let _ = dispatch::activate_deferred(event, 1);
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

/// Who says how it went: at the latest when this is dropped.
struct Teller<New: 'static>(Arc<Local<Shared<New>>>);

impl<New: 'static> Teller<New> {
    /// Says how it went, unless that has been said.
    fn tell(&self, outcome: Result<Context<New>, ReplaceError>) {
        section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let shared = unsafe { self.0.get() };
            if shared.outcome.is_some() {
                return;
            }
            shared.outcome = Some(outcome);
            if let Some(event) = shared.notify {
                let _ = dispatch::activate_deferred(event, 1);
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
        let pool = section(|| {
            let place = registry::at(context)?;
            let (member, pool) = (place.member.is_some(), place.pool);
            // SAFETY: in a section, and the borrow ends in this statement.
            let (condition, _) = unsafe { CORE.get() }.condition(context)?;
            let apart = member || condition == Condition::Taken;
            if apart { Err(Error::NotAllowed) } else { Ok(pool) }
        })?;
        let cell: Lent<StateCell<New>> =
            pool.alloc(StateCell::empty()).map_err(|_| Error::OutOfMemory)?;
        let (cell, _) = cell.into_raw();
        let (state, named, of) = (AnyState::new(cell), Vec::new(), PhantomData);
        let rebinding = Rebinding { context, pool, state, named, sorted: 0, of };
        // SAFETY: given up two lines above; handlers refer to it, and are gone before it.
        let _cell = unsafe { Lent::from_raw(cell, pool) };
        let (services, others, priority) = (Vec::new(), Others::Refused, None);
        Ok(Replacement { kernel: self, context, rebinding, _cell, services, others, priority })
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
        let (kernel, context, pool) = (self.kernel, self.context, self.rebinding.pool);
        let (_, old) = section(|| registry::parts(context))?;
        old.downcast::<Old>().ok_or(Error::WrongState)?;
        let memory = pool.alloc(MaybeUninit::uninit()).map_err(|_| Error::OutOfMemory)?;
        let priority = match self.priority {
            Some(priority) => priority,
            None => highest(context)?,
        };
        let shared = Arc::new(Local::new(Shared { outcome: None, notify: None }));
        let pending = Pending { kernel, shared: shared.clone() };
        let (teller, of) = (Teller(shared), PhantomData);
        let work = Work { teller, plan: self, memory, old, convert, of };
        let header = Header::new(&Act::<Old, New, C>::KIND);
        let act: Act<Old, New, C> = Act { header, begun: Cell::new(false), work: Cell::new(Some(work)) };
        let (act, _) = pool.alloc(act).map_err(|_| Error::OutOfMemory)?.into_raw();
        // SAFETY: an `Act` begins with its header, whose kind is its own; it was given up above.
        // All that it has may be dropped anywhere; it looks itself whether the state is still `old`.
        let handler = unsafe { Loose::own(act.cast(), pool) };
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
        if self.kernel.running() == Some(self.context) || crate::section::deferred() {
            return Err(Error::Busy.into());
        }
        self.submit(convert)?.wait()
    }
}

/// The highest priority of a context's registrations: a section each.
fn highest(context: ContextId) -> Result<Priority, Error> {
    let mut highest = Priority::LOWEST;
    each(context, |event, priority| {
        let _ = event;
        highest = highest.max(priority);
        Ok::<_, Error>(())
    })?;
    Ok(highest)
}

/// Calls `visit` for each registration of a context, outside of sections. Those that are made
/// meanwhile may be left out.
fn each<E: From<Error>>(
    context: ContextId,
    mut visit: impl FnMut(EventId, Priority) -> Result<(), E>,
) -> Result<(), E> {
    // SAFETY: in a section, and the borrow ends in it.
    let mut at = section(|| unsafe { CORE.get() }.first_of(context))?;
    while let Some(event) = at {
        let seen = section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let core = unsafe { CORE.get() };
            Ok::<_, Error>((core.look_up(event)?.registration.priority, core.next_of(event)?))
        });
        let Ok((priority, next)) = seen else {
            // Ended meanwhile: from the start again, which meets others twice.
            // SAFETY: as above.
            at = section(|| unsafe { CORE.get() }.first_of(context))?;
            continue;
        };
        visit(event, priority)?;
        at = next;
    }
    Ok(())
}

/// All that a replacement needs when it runs.
struct Work<Old: 'static, New: 'static, C> {
    /// First, so that whoever waits is told whatever becomes of the rest.
    teller: Teller<New>,
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
    /// The state to be replaced.
    old: AnyState,
    convert: C,
    of: PhantomData<fn(Old)>,
}

/// The handler of a replacement.
#[repr(C)]
struct Act<Old: 'static, New: 'static, C> {
    header: Header,
    /// The work is being done, or dropped.
    begun: Cell<bool>,
    work: Cell<Option<Work<Old, New, C>>>,
}

impl<Old: 'static, New: 'static, C> Act<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    const KIND: Kind = Kind { call: Self::call, drop: Self::drop, forget: Self::forget };

    /// # Safety
    /// `header` is that of a live `Self`, and no other handler of its context runs.
    unsafe extern "C" fn call(header: NonNull<Header>, event: u64, _: u32) {
        // SAFETY: the caller's duty; `Self` begins with its header.
        let act = unsafe { header.cast::<Self>().as_ref() };
        guard::guarded(|| {
            act.begun.set(true);
            let Some(work) = act.work.take() else { return };
            let event = EventId::from_word(event);
            let (teller, outcome, former) = work.run(event);
            // It is running, so it is registered.
            let _ = table::end(event);
            teller.tell(outcome);
            drop_each(former);
        });
    }

    /// # Safety
    /// `header` is that of a live `Self`, which nobody uses again.
    unsafe fn drop(header: NonNull<Header>) {
        // SAFETY: the caller's duty; `Self` begins with its header.
        unsafe {
            header.cast::<Self>().as_ref().begun.set(true);
            header.cast::<Self>().drop_in_place();
        }
    }

    /// # Safety
    /// As [`drop`](Self::drop); whoever called or dropped it does not go on.
    unsafe fn forget(header: NonNull<Header>) {
        // SAFETY: the caller's duty; `Self` begins with its header. What has not been begun is whole.
        unsafe {
            if !header.cast::<Self>().as_ref().begun.get() {
                Self::drop(header);
            }
        }
    }
}

/// Drops handlers that are nobody's any more, in their own context: when one fails at it, so has the
/// context, and the others go all the same.
fn drop_each(mut handlers: Named) {
    while let Some((_, handler)) = handlers.pop() {
        let Some((captured, block)) = handler.map(Loose::split) else { continue };
        let rest = guard::rescued((block, handlers), drop, move |_| {
            guard::unguarded(move || drop(captured));
        });
        (_, handlers) = rest.0;
    }
}

/// Whom to tell how it went, and the handlers that are nobody's any more.
type Done<New> = (Teller<New>, Result<Context<New>, ReplaceError>, Named);

/// What is to be cleared away when the context is given up in the middle of its replacement.
struct Rescued<New: 'static> {
    teller: Teller<New>,
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
}

// SAFETY: handlers, services and what `convert` has not been given are `Send`; the memory holds
// nothing; the rest is touched in sections.
unsafe impl<New> Send for Rescued<New> {}

impl<New: 'static> Rescued<New> {
    /// Runs the application's part, in which the context may be given up.
    fn during<R>(self, work: impl FnOnce() -> R) -> (Self, R) {
        guard::rescued(self, drop, move |_| guard::unguarded(work))
    }

    /// Nothing has changed.
    fn refused(self, error: ReplaceError) -> Done<New> {
        (self.teller, Err(error), self.plan.rebinding.named)
    }
}

impl<Old, New, C> Work<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    /// Does it.
    fn run(self, own: EventId) -> Done<New> {
        let Self { teller, mut plan, memory, old, convert, .. } = self;
        let taken = plan.name_all(own).and_then(|()| take_state::<Old>(plan.context, old));
        let rescued = Rescued { teller, plan, memory };
        let (cell, state) = match taken {
            Ok(taken) => taken,
            Err(refused) => {
                let (rescued, ()) = rescued.during(move || drop(convert));
                return rescued.refused(refused);
            }
        };
        // SAFETY: valid and ours alone: taken out of its cell. What is left is treated as not
        // there, until something is written to it.
        let value = unsafe { state.read() };
        let (rescued, converted) = rescued.during(move || convert(value));
        let fresh = match converted {
            Ok(fresh) => fresh,
            Err(value) => {
                // SAFETY: the state's own memory, which stays, as does its cell.
                unsafe {
                    state.write(value);
                    cell.as_ref().put(&mut *state);
                }
                return rescued.refused(ReplaceError::Declined);
            }
        };
        let Rescued { teller, plan, mut memory } = rescued;
        memory.write(fresh);
        let (place, pool) = memory.into_raw();
        // SAFETY: written above, given up by its box, and it stays for ever, like every state.
        let fresh: &'static mut New = unsafe { place.cast::<New>().as_mut() };
        let (context, former) = plan.switch(own, fresh);
        // Nobody is left who refers to the old cell or state: the former handlers are only dropped.
        // SAFETY: both lie in blocks of their own that were given up when they were made.
        unsafe {
            let state = NonNull::new_unchecked(state.cast::<MaybeUninit<Old>>());
            drop(Lent::from_raw(state, pool));
            drop(Lent::from_raw(cell, pool));
        }
        (teller, Ok(context), former)
    }
}

/// Takes a context's state out of its cell, if it is still `old`, which is an `Old`.
fn take_state<Old: 'static>(
    context: ContextId,
    old: AnyState,
) -> Result<(NonNull<StateCell<Old>>, *mut Old), ReplaceError> {
    let (_, present) = section(|| registry::parts(context))?;
    if present.id() != old.id() {
        return Err(Error::WrongState.into());
    }
    let cell = present.downcast::<Old>().ok_or(Error::WrongState)?;
    // SAFETY: a context's cell lives as long as it has this state, and is looked at in runs of its
    // handlers alone, of which this is one.
    let state = unsafe { cell.as_ref() }.take().ok_or(Error::Busy)?;
    Ok((cell, state))
}

impl<New: 'static> Replacement<New> {
    /// Has every registration named but `own`.
    fn name_all(&mut self, own: EventId) -> Result<(), ReplaceError> {
        for service in &mut self.services {
            service.bind(&mut self.rebinding)?;
        }
        self.rebinding.sort();
        let (rebinding, others) = (&mut self.rebinding, self.others);
        each(self.context, |event, _| {
            if event == own || rebinding.names(event) {
                return Ok(());
            }
            match others {
                Others::Refused => Err(ReplaceError::Unnamed(event)),
                Others::Ended => Ok(rebinding.end(event)?),
            }
        })
    }

    /// Makes `fresh` the context's state, and gives every registration its new handler. Returns the
    /// former ones. It cannot fail any more: what was registered since the application handed its
    /// state over, by others than services, and what there is no memory for, is ended, and told as
    /// [`Trouble::RegistrationLost`].
    fn switch(mut self, own: EventId, fresh: &'static mut New) -> (Context<New>, Named) {
        let (context, state) = (self.context, self.rebinding.state);
        if let Some(cell) = state.downcast::<New>() {
            // SAFETY: the cell is kept for ever from here on: its box is given up below.
            let block = NonNull::from(&mut *fresh).cast();
            unsafe { cell.as_ref() }.put(fresh);
            while !self.try_switch(own, block) {}
        }
        let fresh = Context::new(context);
        let Self { rebinding, _cell, .. } = self;
        let _ = _cell.into_raw();
        let mut former = rebinding.named;
        for (event, handler) in &mut former {
            match handler.take() {
                // Refused when it has ended meanwhile.
                Some(new) => {
                    let rebound = table::rebind(context, *event, new);
                    *handler = Some(rebound.unwrap_or_else(|(_, new)| new));
                }
                None => drop(table::end(*event)),
            }
        }
        (fresh, former)
    }

    /// Makes the state to come, which lies in `block`, the context's, unless there have come
    /// registrations meanwhile that nobody has named.
    fn try_switch(&mut self, own: EventId, block: NonNull<()>) -> bool {
        let (context, state) = (self.context, self.rebinding.state);
        // SAFETY: in a section, and the borrow ends in it.
        let last = section(|| unsafe { CORE.get() }.first_of(context));
        for service in &mut self.services {
            // Without memory for new handlers, some stay unnamed.
            let _ = service.bind(&mut self.rebinding);
        }
        self.rebinding.sort();
        let rebinding = &self.rebinding;
        let _ = each(context, |event, _| {
            if event != own && !rebinding.names(event) && table::end(event).is_ok() {
                section(|| lost(context));
            }
            Ok::<_, Error>(())
        });
        let (services, fresh) = (&mut self.services, Context::new(context));
        section(|| {
            // SAFETY: in a section, and the borrow ends in this statement.
            let unchanged = unsafe { CORE.get() }.first_of(context) == last;
            if unchanged && let Ok(place) = registry::at(context) {
                place.state = state;
                if let Some(supervision) = place.supervision {
                    supervision.replaced([state.block(), block]);
                }
                services.iter_mut().for_each(|service| service.hand_over(fresh));
            }
            unchanged
        })
    }
}

/// A registration of a context was ended that nobody had named. The caller is in a section.
fn lost(context: ContextId) {
    // SAFETY: in a section, and the borrow ends in this statement.
    let told = unsafe { CORE.get() }.report(context, Trouble::RegistrationLost, timestamp());
    if let Ok(outcome) = told {
        note(outcome);
    }
}
