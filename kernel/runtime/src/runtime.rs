//! The kernel's face: [`Kernel`], implemented by a value without a size.

use crate::bound::{BindError, Handler};
use crate::dispatch::{self, CORE, note};
use crate::memory::{self, StackSource};
use crate::registry::{self, ContextOptions};
use crate::section::section;
use crate::{idle, inbox, random, timer};
use alloc::boxed::Box;
use core::convert::Infallible;
use core::ptr::NonNull;
use core::time::Duration;
use reflex_arch::apic::LocalApic;
use reflex_arch::calibration::Rates;
use reflex_arch::clock::Clock;
use reflex_arch::cpu::Features;
use reflex_event::{
    Activation, Context, Error, EventId, Instant, Kernel, Outcome, Priority, Registration, TimerId,
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
    // SAFETY: the caller's duty.
    unsafe { memory::init(platform.memory, platform.stacks) };
    registry::init()?;
    // SAFETY: at start-up, before anything else runs.
    unsafe { CORE.get() }.reserve(platform.events, registry::MOST_CONTEXTS)?;
    let kernel = Runtime(());
    timer::init(platform.time, platform.events)?;
    inbox::init(kernel)?;
    Ok(kernel)
}

impl Runtime {
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
        let options = ContextOptions { stack, memory: 4 << 10, ..ContextOptions::new("main") };
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
        S: Send + 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        section(|| {
            let (pool, state) = registry::parts(context.id())?;
            let handler = match Handler::bind(state, handler, pool) {
                Ok(handler) => handler,
                Err(BindError::WrongState) => return Err(Error::WrongState),
                Err(BindError::OutOfMemory) => return Err(Error::OutOfMemory),
            };
            // SAFETY: in a section, and the borrow ends in this statement.
            let registered = unsafe { CORE.get() }.register(context.id(), registration, handler);
            if registered.is_err() {
                // SAFETY: nobody else has seen it.
                unsafe { handler.release() };
            }
            registered
        })
    }

    fn unregister(&self, event: EventId) -> Result<(), Error> {
        section(|| {
            // SAFETY: in a section, and the borrow ends with the call.
            let core = unsafe { CORE.get() };
            let released = core.unregister(event)?;
            let due = core.preemption_due();
            if let Some(handler) = released {
                // SAFETY: the core gave it back, so it does not run.
                unsafe { handler.release() };
            }
            note(if due { Outcome::Preempt } else { Outcome::Continue });
            Ok(())
        })
    }

    fn set_priority(&self, event: EventId, priority: Priority) -> Result<(), Error> {
        section(|| {
            // SAFETY: in a section.
            let core = unsafe { CORE.get() };
            let _ = core.set_priority(event, priority)?;
            let due = core.preemption_due();
            note(if due { Outcome::Preempt } else { Outcome::Continue });
            Ok(())
        })
    }

    #[inline]
    fn activate(&self, event: EventId, count: u32) -> Result<(), Error> {
        dispatch::activate(event, count)
    }

    fn timer(&self, event: EventId) -> Result<TimerId, Error> {
        section(|| {
            // No occurrence: it is only asked whether the registration is live.
            // SAFETY: in a section, and the borrow ends in this statement.
            let _ = unsafe { CORE.get() }.activate(event, 0)?;
            timer::add(event)
        })
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

    fn random(&self, bytes: &mut [u8]) {
        random::fill(bytes);
    }
}
