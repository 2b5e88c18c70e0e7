//! The kernel's face: the traits [`EventSystem`] and [`Kernel`], implemented by a value without a size.

use crate::context::{attempt, create, guard, policy, registry, supervision};
use crate::cpu::options::{ContextOptions, GRANULE, OwnScheme};
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{note, timestamp, with_core};
use crate::dispatch::section::section;
use crate::dispatch::{idle, memory, random, send, timer};
use crate::event::elsewhere::{ask, is_there};
use crate::event::{activate, attributes, table};
use crate::failure::quarantine;
use core::time::Duration;
use reflex_event::{
    Activation, Borrowed, Chosen, Context, ContextId, Error, EventId, EventSystem, Instant, Kernel,
    Latency, Priority, Registration, TimerId, Trouble,
};
use reflex_memory::{Content, Lend, Pool};

impl Runtime {
    /// Makes a context. A cold path.
    ///
    /// Its state comes from the caller, and so holds no collection of that one's own:
    ///
    /// ```compile_fail,E0277
    /// # use reflex_event::{Context, Error};
    /// # use reflex_memory::String;
    /// # use reflex_runtime::{ContextOptions, Runtime};
    /// fn other(kernel: Runtime, word: String) -> Result<Context<String>, Error> {
    ///     kernel.context(ContextOptions::new("other"), word)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::TableFull`], [`Error::OutOfMemory`].
    pub fn context<S: Send + 'static>(
        self,
        options: ContextOptions,
        state: S,
    ) -> Result<Context<S>, Error> {
        create::add(options, state)
    }

    /// [`context`](Self::context), with event memory that `scheme` hands out: the options' is no
    /// more than what its region may be.
    ///
    /// # Errors
    /// As [`context`](Self::context); [`Error::LimitReached`] when the region is larger than the
    /// context's memory may be.
    pub fn context_by<S: Send + 'static>(
        self,
        options: ContextOptions,
        scheme: OwnScheme,
        state: S,
    ) -> Result<Context<S>, Error> {
        create::add_by(options, scheme, state)
    }

    /// [`context_by`](Self::context_by), with a state that `make` makes of the context's handle. Until then the context
    /// has none: no handler can be registered with it.
    ///
    /// # Errors
    /// As [`context_by`](Self::context_by).
    pub fn context_knowing<S: Send + 'static>(
        self,
        options: ContextOptions,
        scheme: OwnScheme,
        make: impl FnOnce(Context<S>) -> S,
    ) -> Result<Context<S>, Error> {
        create::add_knowing(options, scheme, make)
    }

    /// Seeds the generator with 256 bits of hardware randomness. Before that,
    /// [`EventSystem::random`] panics.
    pub fn seed(self, seed: [u8; 32]) {
        random::seed(seed);
    }

    /// Live registrations.
    pub fn registered(self) -> u32 {
        section(|cs| with_core(cs, |core| core.registered()))
    }

    /// How long activations of `priority` have waited for their handlers, in time stamp counts.
    pub fn latency(self, priority: Priority) -> Latency {
        section(|cs| with_core(cs, |core| core.latency(priority)))
    }

    /// Time stamp counts since the image's start that were not spent halted.
    pub fn busy(self) -> u64 {
        timer::counts() - idle::halted()
    }
}

impl EventSystem for Runtime {
    #[inline]
    fn now(&self) -> Instant {
        timer::now()
    }

    #[inline(always)]
    fn section<R>(&self, work: impl FnOnce() -> R) -> R {
        section(|_| work())
    }

    fn pool<S>(&self, context: Context<S>) -> Result<&'static Pool, Error> {
        section(|cs| registry::state_and_pool(cs, context.id()).map(|(pool, _)| pool))
    }

    fn register<S, F>(
        &self,
        context: Context<S>,
        registration: Registration,
        handler: F,
    ) -> Result<EventId, Error>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let core = context.id().core();
        if send::is_elsewhere(core) {
            let work = move || Self::KERNEL.register(context, registration, handler);
            return ask(core, work);
        }
        table::bind(context, registration, handler)
    }

    fn permit(&self, context: ContextId, kind: &'static str) -> Result<(), Error> {
        let done = section(|cs| policy::permit_kind(cs, context, kind));
        if is_there(context.core(), &done) {
            return ask(context.core(), move || Self::KERNEL.permit(context, kind));
        }
        done
    }

    fn unregister(&self, event: EventId) -> Result<(), Error> {
        let done = table::end(event).map(drop);
        if is_there(event.core(), &done) {
            return ask(event.core(), move || Self::KERNEL.unregister(event));
        }
        done
    }

    fn set_priority(&self, event: EventId, priority: Priority) -> Result<(), Error> {
        let done = section(|cs| {
            note(with_core(cs, |core| core.set_priority(event, priority))?);
            Ok(())
        });
        if is_there(event.core(), &done) {
            return ask(event.core(), move || Self::KERNEL.set_priority(event, priority));
        }
        done
    }

    #[inline]
    fn activate(&self, event: EventId, count: u32) -> Result<(), Error> {
        activate::activate(event, count)
    }

    fn timer(&self, event: EventId) -> Result<TimerId, Error> {
        attributes::make(event)?;
        timer::with_room(|cs| attributes::add_timer(cs, event))
    }

    fn arm(
        &self,
        timer: TimerId,
        deadline: Instant,
        period: Option<Duration>,
    ) -> Result<(), Error> {
        section(|cs| timer::arm(cs, timer, deadline, period))
    }

    fn disarm(&self, timer: TimerId) -> Result<(), Error> {
        section(|cs| timer::disarm(cs, timer))
    }

    fn release(&self, timer: TimerId) -> Result<(), Error> {
        section(|cs| timer::remove(cs, timer))
    }

    fn report(&self, context: ContextId, trouble: Trouble) -> Result<(), Error> {
        section(|cs| {
            note(with_core(cs, |core| core.report(context, trouble, timestamp()))?);
            Ok(())
        })
    }

    fn on_end(&self, context: ContextId, event: EventId) -> Result<(), Error> {
        let done = section(|cs| registry::get(cs, context)?.watch_end(cs, event));
        if is_there(context.core(), &done) {
            return ask(context.core(), move || Self::KERNEL.on_end(context, event));
        }
        done
    }

    fn failures(&self, context: ContextId) -> Result<u64, Error> {
        section(|cs| supervision::ended_lives(cs, context))
    }

    #[inline]
    fn guarded<R>(&self, work: impl FnOnce() -> R) -> R {
        guard::guarded(work)
    }

    fn random(&self, bytes: &mut [u8]) {
        random::fill(bytes);
    }
}

impl Kernel for Runtime {
    #[inline(always)]
    fn activate_by(&self, choose: impl FnOnce() -> Option<(EventId, u32)>) -> bool {
        activate::activate_by(choose)
    }

    #[inline(always)]
    fn yield_by(&self, choose: impl FnOnce() -> Option<(EventId, u32)>) -> Chosen {
        activate::yield_by(choose)
    }

    #[inline]
    fn keep<T: Send + 'static, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        bytes: fn(&mut T) -> &[u8],
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(&[u8]) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R {
        guard::keep(take, bytes, cleanup, work, finish)
    }

    #[inline]
    fn hand<T: Send + 'static, L: Lend + ?Sized, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        part: fn(&mut T) -> &mut L,
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(L::View<'_>) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R {
        guard::hand(take, part, cleanup, work, finish)
    }

    fn contained<T, R>(
        &self,
        context: ContextId,
        value: T,
        work: impl FnOnce(&T) -> R,
    ) -> Result<(T, R), Borrowed> {
        section(|cs| attempt::attempt_on(cs, context, value, work))
    }

    fn quarantine(&self, pool: &'static Pool, bytes: usize) {
        quarantine::add_borrowed(pool, bytes as u64);
    }

    fn replacement(
        &self,
        of: &'static Pool,
        bytes: usize,
        content: Content,
    ) -> Result<&'static Pool, Error> {
        let pool = memory::pool(bytes, GRANULE, content)?;
        of.owner().into_iter().for_each(|owner| pool.set_owner(owner));
        Ok(pool)
    }

    fn extend(&self, context: ContextId, bytes: usize) -> Result<&'static Pool, usize> {
        policy::charge(context, bytes)?;
        let pool = memory::pool(bytes, GRANULE, Content::Objects).map_err(|_| {
            policy::uncharge(context, bytes);
            memory::available()
        })?;
        pool.set_owner(context.index.into());
        Ok(pool)
    }
}
