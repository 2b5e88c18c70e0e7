//! Cores other than the first: what is prepared for one, and its start.
//!
//! ```text
//!   the first core                              the new one
//!   prepare_core ──▶ PreparedCore ── boot ──▶ start_core ──▶ idle, and whatever it is told
//!   await_core  ◀──────────────── up or failed ──┘
//! ```
//!
//! Nothing of what a core works on is another's: it has an event core, sections, jobs, timers, interrupt lines,
//! signals, contexts, a supervisor and a generator of its own. What is shared is in [`cpu::shared`](crate::cpu::shared).

use crate::cpu::cores::{self, Stage};
use crate::cpu::report::Print;
use crate::cpu::runtime::Runtime;
use crate::cpu::stack::StackSource;
use crate::cpu::{self, CoreMemory};
use crate::dispatch::section::{Outermost, Start};
use crate::dispatch::timer::Timekeeping;
use crate::dispatch::{memory, switch};
use crate::entry::start;
use core::hint::spin_loop;
use reflex_arch::core_words::{self, CoreWords};
use reflex_event::Error;

/// What a core is started with.
pub struct PreparedCore {
    words: &'static CoreWords,
    number: u32,
    stacks: StackSource,
    events: usize,
    print: Print,
}

/// Prepares what the core `number` is started with: the next after those that are up. A cold path,
/// of the first core.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::NotAllowed`] for another number.
pub fn prepare_core(number: u32) -> Result<PreparedCore, Error> {
    let seat = cores::seat(number).filter(|_| number == cores::count());
    let seat = seat.ok_or(Error::NotAllowed)?;
    let place = memory::take(size_of::<CoreMemory>(), align_of::<CoreMemory>());
    let place = place.ok_or(Error::OutOfMemory)?.cast();
    // SAFETY: the memory was taken for it, and is nobody else's for ever.
    let words = unsafe { CoreMemory::make(place, number) };
    seat.set(Stage::Absent);
    let own = cpu::this();
    let (stacks, events, print) = (*own.stacks.get(), *own.most_events.get(), *own.print.get());
    Ok(PreparedCore { words, number, stacks, events, print })
}

/// Starts the kernel on the core that this runs on. The stack that this is on is not used any more from then on.
///
/// # Safety
/// Called on a core other than the first, with interrupts masked, by code that has called nothing of the
/// kernel's there. Every vector has its entry, and `time` is of this core: its interrupt controller is enabled.
pub unsafe fn start_core(prepared: PreparedCore, time: Timekeeping) -> ! {
    let PreparedCore { words, number, stacks, events, print } = prepared;
    // SAFETY: the caller's duty; the words are those of this core, since each value of the type has its own.
    let begun = unsafe {
        core_words::set(words);
        Start::begin()
    };
    cpu::this().stacks.set(&begun, stacks);
    let result = start::set_up(&begun, time, events, print);
    // There is one, or the core would not have been prepared.
    if let Some(seat) = cores::seat(number) {
        seat.set(if result.is_ok() { Stage::Up } else { Stage::Failed });
    }
    if result.is_err() {
        reflex_arch::cpu::halt();
    }
    // SAFETY: the one section that is open is that of the core's start.
    switch::leave_stack(&mut unsafe { Outermost::assume() }, switch::idle())
}

/// Waits until the core `number`, which is being started, is up, and does what is to be done `meanwhile` again and
/// again. False when there was too little memory to set it up: then it has halted, and its number is another's.
pub fn await_core(number: u32, meanwhile: fn()) -> bool {
    let Some(seat) = cores::seat(number) else { return false };
    loop {
        match seat.stage() {
            Stage::Up => return true,
            Stage::Failed => return false,
            Stage::Absent => meanwhile(),
        }
        spin_loop();
    }
}

impl Runtime {
    /// How many cores there are; they have the numbers from 0.
    pub fn cores(self) -> u32 {
        cores::count()
    }

    /// The core that this runs on.
    #[inline(always)]
    pub fn core(self) -> u32 {
        core_words::number()
    }
}
