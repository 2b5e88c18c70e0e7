//! The start of the kernel, and `main`.

use crate::context::{attempt, create, protected};
use crate::cpu;
use crate::cpu::cores;
use crate::cpu::message::Calls;
use crate::cpu::options::{ContextOptions, Origin};
use crate::cpu::report::Print;
use crate::cpu::runtime::Runtime;
use crate::cpu::set::MOST_CONTEXTS;
use crate::cpu::shared;
use crate::cpu::stack::{Stack, StackSource};
use crate::cpu::upcalls::Upcalls;
use crate::dispatch::event_core::{running, with_core};
use crate::dispatch::section::{Outermost, Start, section};
use crate::dispatch::timer::Timekeeping;
use crate::dispatch::{idle, memory, section, switch, vector};
use crate::entry::expiry;
use crate::event::{interrupt_queue, retire};
#[cfg(feature = "hosted")]
use crate::failure::fault;
use crate::failure::{contain, quarantine, report, supervisor};
use alloc::boxed::Box;
use core::convert::Infallible;
use core::ptr::NonNull;
use reflex_arch::core_words;
use reflex_event::{Core, Error, EventSystem, Priority, Registration};

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
    /// Ends the image, which nothing returns from, after a panic that is nobody's else.
    #[cfg(feature = "hosted")]
    pub crash: fn(Box<dyn core::any::Any + Send>) -> !,
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
    let start = &unsafe { Start::begin() };
    shared::reset(start);
    #[cfg(feature = "hosted")]
    cpu::this().crash.set(start, platform.crash);
    // SAFETY: the caller's duty.
    unsafe { memory::init(start, platform.memory, platform.stacks) };
    set_up(start, platform.time, platform.events, platform.print)?;
    quarantine::init(start, platform.quarantine);
    cores::begin(cpu::this());
    Ok(Runtime::KERNEL)
}

/// Sets up what a core has to itself, but for what makes stacks.
///
/// # Errors
/// As [`init`].
pub(crate) fn set_up(
    start: &Start,
    time: Timekeeping,
    events: usize,
    print: Print,
) -> Result<(), Error> {
    let (finish, ensure_supervisor) = (retire::finish, supervisor::ensure);
    let upcalls = Upcalls {
        finish,
        look_at_filter: attempt::look,
        ensure_supervisor,
        #[cfg(feature = "hosted")]
        panicked: fault::unwound,
    };
    cpu::this().upcalls.set(start, upcalls);
    cpu::this().most_events.set(start, events);
    cpu::this().calls.set(start, Calls::new());
    cpu::this().core.set(start, Core::on(core_words::number(), Stack::NONE));
    idle::init(start)?;
    create::init(start)?;
    protected::init(start);
    contain::init(start);
    report::init(start, print);
    expiry::init(start, time, events)?;
    interrupt_queue::init(start)?;
    with_core(start, |core| core.reserve(events, MOST_CONTEXTS))
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
}
