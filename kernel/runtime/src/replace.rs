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
//! 4. one registration after the other gets its new handler; its timer, its filter and what it has
//!    pending stay.

use crate::attempt::attempt;
use crate::bound::{AnyState, Handler, Header, Kind, StateCell};
use crate::dispatch::{self, with_core};
use crate::local::Local;
use crate::runtime::Runtime;
use crate::section::{Section, section};
use crate::wait::Waiter;
use crate::{guard, registry, retire, table};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use reflex_event::{
    Activation, Context, ContextId, Error, EventId, EventSystem, Priority, Registration,
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
    /// The context was given up while its state was being handed over. Its old state is lost, as
    /// after any failure in a handler.
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
            Self::Stopped => f.write_str("the context failed while its state was handed over"),
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

/// The registrations of a context, each with its handler to come.
pub struct Rebinding<New: 'static> {
    context: ContextId,
    pool: &'static Pool,
    cell: NonNull<StateCell<New>>,
    /// Sorted by identifier when `sorted` says so. Without a handler they are to be ended.
    named: Vec<(EventId, Option<Handler>)>,
    sorted: usize,
}

// SAFETY: what handlers capture is `Send`, as `bind` demands; the cell is empty, or has the state
// of a context in whose runs alone it is looked at.
unsafe impl<New> Send for Rebinding<New> {}

impl<New: 'static> Rebinding<New> {
    /// The context, as it will be.
    pub fn context(&self) -> Context<New> {
        Context::new(self.context)
    }

    /// Gives a registration `handler`, unless it has been named before.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the context's event memory, or the heap, is exhausted.
    pub fn bind(
        &mut self,
        event: EventId,
        handler: impl Fn(&mut New, Activation) + Send + 'static,
    ) -> Result<(), Error> {
        if self.names(event) {
            return Ok(());
        }
        self.named.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: the cell lives as long as handlers that are bound to it.
        let state = AnyState::new(unsafe { self.cell.as_ref() });
        let bound = Handler::bind(state, handler, self.pool).map_err(|(error, _)| error)?;
        self.named.push((event, Some(bound)));
        Ok(())
    }

    /// Names a registration as one to be ended, unless it has been named before.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when the heap is exhausted.
    pub fn end(&mut self, event: EventId) -> Result<(), Error> {
        if !self.names(event) {
            self.named.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
            self.named.push((event, None));
        }
        Ok(())
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

impl<New: 'static> Drop for Rebinding<New> {
    fn drop(&mut self) {
        for (_, handler) in self.named.drain(..) {
            if let Some(handler) = handler {
                // SAFETY: nobody has seen it, and it was bound in the context's pool.
                unsafe { retire::unseen(handler, self.context, self.pool) };
            }
        }
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
    _cell: Lent<StateCell<New>>,
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
                let _ = dispatch::activate_deferred(cs, event, 1);
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

/// Says how it went.
fn tell<New: 'static>(shared: &Local<Shared<New>>, outcome: Result<Context<New>, ReplaceError>) {
    section(|cs| {
        let notify = shared.with(cs, |shared| {
            shared.outcome = Some(outcome);
            shared.notify
        });
        if let Some(event) = notify {
            let _ = dispatch::activate_deferred(cs, event, 1);
        }
    });
}

impl Runtime {
    /// Prepares to replace the implementation of `context` by one whose state is a `New`.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::OutOfMemory`]; [`Error::NotAllowed`] for a cloner's child.
    pub fn replacement<New: 'static>(self, context: ContextId) -> Result<Replacement<New>, Error> {
        let pool = section(|cs| {
            let place = registry::at(cs, context)?;
            if place.member.get(cs).is_some() { Err(Error::NotAllowed) } else { Ok(place.pool) }
        })?;
        let (cell, _) = pool.alloc(StateCell::empty()).map_err(|_| Error::OutOfMemory)?.into_raw();
        let rebinding = Rebinding { context, pool, cell, named: Vec::new(), sorted: 0 };
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
        let (_, old) = section(|cs| registry::parts(cs, context))?;
        let old = old.downcast::<Old>().ok_or(Error::WrongState)?;
        let memory = pool.alloc(MaybeUninit::uninit()).map_err(|_| Error::OutOfMemory)?;
        let priority = match self.priority {
            Some(priority) => priority,
            None => highest(context)?,
        };
        let shared = Arc::new(Local::new(Shared { outcome: None, notify: None }));
        let pending = Pending { kernel, shared: shared.clone() };
        let work = Work { plan: self, memory, old, convert, shared };
        let act =
            Act { header: Header::new(&Act::<Old, New, C>::KIND), work: Cell::new(Some(work)) };
        let (act, _) = pool.alloc(act).map_err(|_| Error::OutOfMemory)?.into_raw();
        // SAFETY: an `Act` begins with its header, whose kind is its own; it was given up above.
        // All that it has may be dropped anywhere.
        let handler = unsafe { Handler::new(act.cast()) };
        let registration = Registration { priority, ..Registration::default() };
        let event = table::register(context, registration, handler).inspect_err(|_| {
            // SAFETY: nobody else has seen it.
            unsafe { handler.discard(pool) };
        })?;
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
    table::each(context, |event, priority| {
        let _ = event;
        highest = highest.max(priority);
        Ok::<_, Error>(())
    })?;
    Ok(highest)
}

/// All that a replacement needs when it runs.
struct Work<Old: 'static, New: 'static, C> {
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
    old: NonNull<StateCell<Old>>,
    convert: C,
    shared: Arc<Local<Shared<New>>>,
}

/// The handler of a replacement.
#[repr(C)]
struct Act<Old: 'static, New: 'static, C> {
    header: Header,
    work: Cell<Option<Work<Old, New, C>>>,
}

impl<Old: 'static, New: 'static, C> Act<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    const KIND: Kind = Kind { call: Self::call, drop: Some(Self::drop) };

    /// # Safety
    /// `header` is that of a live `Self`, and no other handler of its context runs.
    unsafe extern "C" fn call(header: NonNull<Header>, event: u64, _: u32) {
        // SAFETY: the caller's duty; `Self` begins with its header.
        let act = unsafe { header.cast::<Self>().as_ref() };
        let event = EventId::from_word(event);
        if let Some(work) = act.work.take() {
            let (shared, kernel) = (work.shared.clone(), work.plan.kernel);
            let outcome = work.run(event);
            // It is running, so it is registered.
            let _ = kernel.unregister(event);
            tell(&shared, outcome);
        }
    }

    /// # Safety
    /// `header` is that of a live `Self`, which nobody uses again.
    unsafe fn drop(header: NonNull<Header>) {
        // SAFETY: the caller's duty; `Self` begins with its header.
        unsafe { header.cast::<Self>().drop_in_place() }
    }
}

/// What is to be cleared away when the context is given up in the middle of its replacement.
struct Kept<New: 'static> {
    plan: Replacement<New>,
    memory: Lent<MaybeUninit<New>>,
    shared: Arc<Local<Shared<New>>>,
}

// SAFETY: handlers, services and what `convert` has not been given are `Send`; the memory holds
// nothing; the rest is touched in sections.
unsafe impl<New> Send for Kept<New> {}

impl<New: 'static> Kept<New> {
    fn stopped(mut self) {
        tell(&self.shared, Err(ReplaceError::Stopped));
        // What the services have captured is the application's.
        let services = core::mem::take(&mut self.plan.services);
        let _ = section(|cs| attempt(cs, self.plan.context, || drop(services)));
    }
}

impl<Old, New, C> Work<Old, New, C>
where
    C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
{
    fn run(self, own: EventId) -> Result<Context<New>, ReplaceError> {
        let Self { mut plan, memory, old, convert, shared } = self;
        plan.name_all(own)?;
        let context = plan.context;
        // SAFETY: the cell lives as long as the context has this state: nobody replaced it before
        // us, or the state would be found to be another below.
        let cell = unsafe { old.as_ref() };
        let current = section(|cs| registry::parts(cs, context))?.1.block();
        if current != old.cast() {
            return Err(Error::WrongState.into());
        }
        let state: *mut Old = cell.take().ok_or(Error::Busy)?;
        // SAFETY: valid and ours alone: taken out of its cell. What is left is treated as not
        // there, until something is written to it.
        let value = unsafe { state.read() };
        let kept = Kept { plan, memory, shared };
        // The services are dropped where nothing is guarded any more.
        let services = Cell::new(Vec::new());
        let convert = move |_: &[u8]| convert(value);
        guard::keep(
            || Ok(kept),
            |_| &[],
            Kept::stopped,
            convert,
            |kept, converted| {
                let Kept { mut plan, mut memory, shared: _ } = kept;
                let fresh = match converted {
                    Ok(fresh) => fresh,
                    Err(value) => {
                        // SAFETY: the state's own memory, which stays.
                        unsafe {
                            state.write(value);
                            cell.put(&mut *state);
                        }
                        services.set(core::mem::take(&mut plan.services));
                        return Err(ReplaceError::Declined);
                    }
                };
                memory.write(fresh);
                let (place, pool) = memory.into_raw();
                // SAFETY: written above, given up by its box, and it stays for ever, like every state.
                let fresh: &'static mut New = unsafe { place.cast::<New>().as_mut() };
                let (context, left) = plan.switch(own, fresh);
                services.set(left);
                // Nobody is left who refers to the old cell or state.
                // SAFETY: both lie in blocks of their own that were given up when they were made.
                unsafe {
                    let state = NonNull::new_unchecked(state.cast::<MaybeUninit<Old>>());
                    drop(Lent::from_raw(state, pool));
                    drop(Lent::from_raw(old, pool));
                }
                Ok(context)
            },
        )
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

    /// Makes `fresh` the context's state, and gives every registration its new handler. Cannot
    /// fail any more: what was registered since the application handed its state over, by others
    /// than services, is ended. Returns the services, to be dropped.
    fn switch(mut self, own: EventId, fresh: &'static mut New) -> (Context<New>, Services<New>) {
        let context = self.context;
        self.others = Others::Ended;
        // SAFETY: the cell is kept for ever from here on: its box is given up below.
        let cell: &'static StateCell<New> = unsafe { self.rebinding.cell.as_ref() };
        let state = NonNull::from(&mut *fresh).cast();
        cell.put(fresh);
        let fresh = Context::new(context);
        let mut all = true;
        loop {
            let last = section(|cs| with_core(cs, |core| core.first_of(context)));
            all &= self.name_all(own).is_ok();
            let switched = section(|cs| {
                let unchanged = with_core(cs, |core| core.first_of(context)) == last;
                if unchanged && let Ok(place) = registry::at(cs, context) {
                    let new = AnyState::new(cell);
                    place.state.set(cs, new);
                    if let Some(supervision) = place.supervision {
                        supervision.replaced([new.block(), state]);
                    }
                    self.services.iter_mut().for_each(|service| service.hand_over(fresh));
                }
                unchanged
            });
            if switched {
                break;
            }
        }
        let Self { mut rebinding, _cell, services, .. } = self;
        let _ = _cell.into_raw();
        rebinding.sort();
        if !all {
            // There was no memory to give it a new handler, or to note that it is to be ended.
            let _ = table::each(context, |event, _| {
                if event != own && !rebinding.names(event) {
                    let _ = section(|cs| table::unregister(cs, event));
                }
                Ok::<_, Error>(())
            });
        }
        for (event, handler) in rebinding.named.drain(..) {
            section(|cs| match handler {
                Some(handler) => {
                    let _ = table::ready(cs, context, handler);
                    rebind(cs, context, event, handler);
                }
                None => {
                    let _ = table::unregister(cs, event);
                }
            });
        }
        (fresh, services)
    }
}

/// Gives a registration its new handler.
fn rebind(cs: &Section, context: ContextId, event: EventId, handler: Handler) {
    let info = with_core(cs, |core| core.look_up(event));
    let priority = info.map_or(Priority::DEFAULT, |info| info.registration.priority);
    match with_core(cs, |core| core.rebind(event, handler)) {
        // SAFETY: both were bound in that pool; the old one is not called again.
        Ok(old) => unsafe {
            handler.adopt(cs, old);
            retire::later(cs, context, old, priority);
        },
        // Ended meanwhile.
        // SAFETY: nobody has seen the new one, which was bound in that pool.
        Err(_) => unsafe { retire::later(cs, context, handler, priority) },
    }
}
