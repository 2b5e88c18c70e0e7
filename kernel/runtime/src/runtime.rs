//! The kernel's face: [`Kernel`], implemented by a value without a size.

use crate::bound::Loose;
use crate::dispatch::{self, CORE, Stack, note, timestamp};
use crate::memory::{self, StackSource};
use crate::policy::Origin;
use crate::registry::{self, ContextOptions, OwnScheme};
use crate::report::Print;
use crate::section::section;
use crate::{
    attempt, contain, extras, guard, idle, inbox, policy, random, report, supervise, table, timer,
};
use alloc::boxed::Box;
use core::convert::Infallible;
use core::ptr::NonNull;
use core::time::Duration;
use reflex_arch::apic::LocalApic;
use reflex_arch::calibration::Rates;
use reflex_arch::clock::Clock;
use reflex_arch::cpu::Features;
use reflex_event::{
    Activation, Context, ContextId, Core, Error, EventId, Executor, Instant, Kernel, Latency,
    Priority, Registration, TimerId, Trouble,
};
use reflex_memory::Pool;

/// What the machine gives the kernel to start with.
pub struct Platform {
    /// Free memory: mapped, writable, nobody else's.
    pub memory: NonNull<[u8]>,
    /// Makes guarded stacks.
    pub stacks: StackSource,
    /// Clocks and the interrupt controller.
    pub time: Timekeeping,
    /// The most registrations there may be.
    pub events: usize,
    /// Prints a line on the console.
    pub print: Print,
}

/// What the machine has to tell time by.
pub struct Timekeeping {
    /// What the processor can do.
    pub features: Features,
    /// The local interrupt controller, enabled.
    pub apic: LocalApic,
    /// The time stamp counter, calibrated.
    pub clock: Clock,
    /// The rates of both.
    pub rates: Rates,
}

/// The kernel. Whoever has one may use all that [`Kernel`] and this type offer.
#[derive(Clone, Copy, Debug)]
pub struct Runtime(());

/// Starts the kernel. Interrupts stay masked, and nothing is dispatched, before
/// [`Runtime::enter`].
///
/// # Safety
/// Called once, with interrupts masked, on a stack of the caller's; what `platform` says is so.
///
/// # Errors
/// [`Error::OutOfMemory`] and [`Error::HeapExhausted`] when the machine has too little memory.
pub unsafe fn init(platform: Platform) -> Result<Runtime, Error> {
    // SAFETY: at start-up, before anything else runs.
    unsafe { CORE.set(Core::new(Stack::NONE)) };
    // SAFETY: the caller's duty.
    unsafe { memory::init(platform.memory, platform.stacks) };
    registry::init()?;
    // SAFETY: at start-up, before anything else runs.
    unsafe { CORE.get() }.reserve(platform.events, registry::MOST_CONTEXTS)?;
    let kernel = Runtime::KERNEL;
    contain::init();
    report::init(platform.print);
    timer::init(platform.time, platform.events)?;
    inbox::init(kernel)?;
    Ok(kernel)
}

impl Runtime {
    /// The kernel, for its own use.
    pub(crate) const KERNEL: Self = Self(());

    /// Runs `main` as the context of lowest priority, with interrupts on from here on. When it
    /// returns the image stays alive, halting whenever there is nothing to do.
    ///
    /// # Errors
    /// Those of making a context.
    pub fn enter(
        self,
        stack: usize,
        main: impl FnOnce() + Send + 'static,
    ) -> Result<Infallible, Error> {
        let main: Option<Box<dyn FnOnce() + Send>> = Some(Box::new(main));
        let origin = Origin::System;
        let options =
            ContextOptions { stack, memory: 4 << 10, origin, ..ContextOptions::new("main") };
        let context = registry::add(options, main)?;
        let registration = Registration { priority: Priority::LOWEST, ..Registration::default() };
        let event = self.register(context, registration, |main: &mut Option<_>, _| {
            if let Some(main) = main.take() {
                let main: Box<dyn FnOnce() + Send> = main;
                main();
            }
        })?;
        self.activate(event, 1)?;
        idle::enter()
    }

    /// Makes a context. A cold path.
    ///
    /// # Errors
    /// [`Error::TableFull`], [`Error::OutOfMemory`].
    pub fn context<S: Send + 'static>(
        self,
        options: ContextOptions,
        state: S,
    ) -> Result<Context<S>, Error> {
        registry::add(options, state)
    }

    /// [`context`](Self::context), whose event memory is handed out by `scheme`: the options' is no
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
        registry::add_by(options, scheme, state)
    }

    /// Seeds the generator with 256 bits of hardware randomness. Before that,
    /// [`Kernel::random`] panics.
    pub fn seed(self, seed: [u8; 32]) {
        random::seed(seed);
    }

    /// Live registrations.
    pub fn registered(self) -> u32 {
        // SAFETY: in a section.
        section(|| unsafe { CORE.get() }.registered())
    }

    /// How long activations of `priority` have waited for their handlers, in time stamp counts.
    pub fn latency(self, priority: Priority) -> Latency {
        // SAFETY: in a section.
        section(|| unsafe { CORE.get() }.latency(priority))
    }

    /// Time stamp counts since the image's start that were not spent halted.
    pub fn busy(self) -> u64 {
        timer::counts() - idle::halted()
    }
}

impl Kernel for Runtime {
    #[inline]
    fn now(&self) -> Instant {
        timer::now()
    }

    #[inline(always)]
    fn section<R>(&self, work: impl FnOnce() -> R) -> R {
        section(work)
    }

    fn pool<S>(&self, context: Context<S>) -> Result<&'static Pool, Error> {
        section(|| registry::parts(context.id()).map(|(pool, _)| pool))
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
        let (pool, state) = section(|| {
            let place = registry::at(context.id())?;
            policy::permit_at(place, Executor::Direct)?;
            supervise::living(place)?;
            // Cut off in between, the bound handler would be lost.
            guard::open();
            Ok((place.pool, place.state))
        })?;
        let registered = Loose::bind(state, handler, pool)
            .and_then(|handler| table::register(context.id(), registration, handler));
        guard::close();
        registered
    }

    fn permit(&self, context: ContextId, kind: &'static str) -> Result<(), Error> {
        section(|| policy::permit_kind(context, kind))
    }

    fn unregister(&self, event: EventId) -> Result<(), Error> {
        table::end(event).map(drop)
    }

    fn set_priority(&self, event: EventId, priority: Priority) -> Result<(), Error> {
        section(|| {
            // SAFETY: in a section, and the borrow ends in this statement.
            note(unsafe { CORE.get() }.set_priority(event, priority)?);
            Ok(())
        })
    }

    #[inline]
    fn activate(&self, event: EventId, count: u32) -> Result<(), Error> {
        dispatch::activate(event, count)
    }

    fn timer(&self, event: EventId) -> Result<TimerId, Error> {
        extras::make(event)?;
        timer::with_room(|| extras::add_timer(event))
    }

    fn arm(
        &self,
        timer: TimerId,
        deadline: Instant,
        period: Option<Duration>,
    ) -> Result<(), Error> {
        section(|| timer::arm(timer, deadline, period))
    }

    fn disarm(&self, timer: TimerId) -> Result<(), Error> {
        section(|| timer::disarm(timer))
    }

    fn release(&self, timer: TimerId) -> Result<(), Error> {
        section(|| timer::remove(timer))
    }

    fn report(&self, context: ContextId, trouble: Trouble) -> Result<(), Error> {
        section(|| {
            // SAFETY: in a section, and the borrow ends in this statement.
            note(unsafe { CORE.get() }.report(context, trouble, timestamp())?);
            Ok(())
        })
    }

    fn on_end(&self, context: ContextId, event: EventId) -> Result<(), Error> {
        section(|| registry::at(context)?.mourn(event))
    }

    fn failures(&self, context: ContextId) -> Result<u64, Error> {
        section(|| supervise::deaths(context))
    }

    #[inline]
    fn guarded<R>(&self, work: impl FnOnce() -> R) -> R {
        guard::guarded(work)
    }

    #[inline]
    fn unguarded<R>(&self, work: impl FnOnce() -> R) -> R {
        guard::unguarded(work)
    }

    fn contained<R>(&self, context: ContextId, work: impl FnOnce() -> R) -> Option<R> {
        section(|| attempt::attempt(context, work))
    }

    #[inline]
    fn rescued<T: Send + 'static, R>(
        &self,
        value: T,
        rescue: fn(T),
        work: impl FnOnce(&mut T) -> R,
    ) -> (T, R) {
        guard::rescued(value, rescue, work)
    }

    fn random(&self, bytes: &mut [u8]) {
        random::fill(bytes);
    }
}
