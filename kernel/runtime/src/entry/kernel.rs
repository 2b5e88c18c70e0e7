//! The kernel's face: [`Kernel`], implemented by a value without a size.

use crate::context::{attempt, create, guard, policy, registry, supervision};
use crate::cpu;
use crate::cpu::options::{ContextOptions, GRANULE, Origin, OwnScheme};
use crate::cpu::report::Print;
use crate::cpu::runtime::Runtime;
use crate::cpu::set::MOST_CONTEXTS;
use crate::cpu::stack::{Stack, StackSource};
use crate::cpu::upcalls::Upcalls;
use crate::dispatch::event_core::{note, running, timestamp, with_core};
use crate::dispatch::section::{Outermost, Start, section};
use crate::dispatch::timer::Timekeeping;
use crate::dispatch::{idle, memory, random, section, switch, timer, vector};
use crate::entry::expiry;
use crate::event::{activate, attributes, interrupt_queue, retire, table};
use crate::failure::{contain, quarantine, report, supervisor};
use alloc::boxed::Box;
use core::convert::Infallible;
use core::ptr::NonNull;
use core::time::Duration;
use reflex_event::{
    Activation, Borrowed, Context, ContextId, Core, Error, EventId, EventSystem, Instant, Kernel,
    Latency, Priority, Registration, TimerId, Trouble,
};
use reflex_memory::{Content, Lend, Pool};

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
    /// The most bytes there may be in [quarantine](Runtime::quarantine); half of the free memory
    /// unless said here.
    pub quarantine: Option<u64>,
    /// Prints a line on the console.
    pub print: Print,
}

/// Starts the kernel. Interrupts stay masked, and nothing is dispatched, before
/// [`Runtime::enter`].
///
/// # Safety
/// Called once, with interrupts masked, on a stack of the caller's; what `platform` says is so.
///
/// # Errors
/// [`Error::OutOfMemory`] and [`Error::HeapExhausted`] when the machine has too little memory.
pub unsafe fn init(platform: Platform) -> Result<Runtime, Error> {
    // SAFETY: the caller's duty.
    let start = &unsafe { Start::begin(&cpu::this().deferral) };
    let (finish, ensure_supervisor) = (retire::finish, supervisor::ensure);
    cpu::this().upcalls.set(start, Upcalls { finish, ensure_supervisor });
    cpu::this().core.set(start, Core::new(Stack::NONE));
    // SAFETY: the caller's duty.
    unsafe { memory::init(start, platform.memory, platform.stacks) };
    idle::init(start)?;
    create::init(start)?;
    policy::init(start);
    contain::init(start);
    report::init(start, platform.print);
    expiry::init(start, platform.time, platform.events)?;
    interrupt_queue::init(start)?;
    quarantine::init(start, platform.quarantine);
    with_core(start, |core| core.reserve(platform.events, MOST_CONTEXTS))?;
    Ok(Runtime::KERNEL)
}

impl Runtime {
    /// Runs `main` as the context of lowest priority, with interrupts on from here on. When it
    /// returns the image stays alive, halting whenever there is nothing to do.
    ///
    /// # Errors
    /// Those of making a context; [`Error::NotAllowed`] when it has been called before.
    pub fn enter(
        self,
        stack: usize,
        main: impl FnOnce() + Send + 'static,
    ) -> Result<Infallible, Error> {
        if !section::is_outermost() || section(running).is_some() || !vector::in_interrupt() {
            return Err(Error::NotAllowed);
        }
        let main: Option<Box<dyn FnOnce() + Send>> = Some(Box::new(main));
        let origin = Origin::System;
        let options =
            ContextOptions { stack, memory: 4 << 10, origin, ..ContextOptions::new("main") };
        let context = create::add(options, main)?;
        let registration = Registration { priority: Priority::LOWEST, ..Registration::default() };
        let event = self.register(context, registration, |main: &mut Option<_>, _| {
            if let Some(main) = main.take() {
                let main: Box<dyn FnOnce() + Send> = main;
                main();
            }
        })?;
        self.activate(event, 1)?;
        // SAFETY: the one section that is open is that of the kernel's start, as asked above.
        switch::leave_stack(&mut unsafe { Outermost::assume() }, switch::idle())
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
        section(|cs| registry::parts(cs, context.id()).map(|(pool, _)| pool))
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
        table::bind(context, registration, handler)
    }

    fn permit(&self, context: ContextId, kind: &'static str) -> Result<(), Error> {
        section(|cs| policy::permit_kind(cs, context, kind))
    }

    fn unregister(&self, event: EventId) -> Result<(), Error> {
        table::end(event).map(drop)
    }

    fn set_priority(&self, event: EventId, priority: Priority) -> Result<(), Error> {
        section(|cs| {
            note(with_core(cs, |core| core.set_priority(event, priority))?);
            Ok(())
        })
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
        section(|cs| registry::at(cs, context)?.mourn(cs, event))
    }

    fn failures(&self, context: ContextId) -> Result<u64, Error> {
        section(|cs| supervision::deaths(cs, context))
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
    ) -> Option<(T, R)> {
        section(|cs| attempt::attempt_on(cs, context, value, work))
    }

    fn quarantine(&self, pool: &'static Pool, bytes: usize) {
        quarantine::add_borrowed(pool, bytes as u64);
    }

    fn replacement(&self, bytes: usize, content: Content) -> Result<&'static Pool, Error> {
        memory::pool(bytes, GRANULE, content)
    }
}
