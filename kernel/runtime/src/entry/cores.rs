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
use crate::cpu::local::Local;
use crate::cpu::message::{CALLS, CoreRing, Neighbour};
use crate::cpu::report::Print;
use crate::cpu::runtime::Runtime;
use crate::cpu::stack::StackSource;
use crate::cpu::{self, CoreMemory, Cpu};
use crate::dispatch::section::{Outermost, Start};
use crate::dispatch::timer::Timekeeping;
use crate::dispatch::{memory, switch};
use crate::entry::{crossing, start};
use core::hint::spin_loop;
use core::sync::atomic::Ordering::Release;
use reflex_across::Port;
use reflex_arch::core_words::{self, CoreWords};
use reflex_event::Error;

/// The number of the core that is started first. With it there is somebody to tell something.
const FIRST_OTHER: u32 = 1;

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
    let (words, block) = unsafe { CoreMemory::make(place, number) };
    introduce(number, block)?;
    if number == FIRST_OTHER {
        crossing::begin(cpu::this().clockwork.apic.get().id())?;
    }
    seat.set(Stage::Absent);
    seat.set_block(block);
    let own = cpu::this();
    let (stacks, events, print) = (*own.stacks.get(), *own.most_events.get(), *own.print.get());
    Ok(PreparedCore { words, number, stacks, events, print })
}

/// Gives a core and each of those that are up a ring for either direction. They find it when they look.
fn introduce(number: u32, block: &'static Cpu) -> Result<(), Error> {
    let of = |core| cores::seat(core).ok_or(Error::NotAllowed);
    for other in 0..number {
        let there: &'static mut CoreRing = lasting(CoreRing::new())?;
        let back: &'static mut CoreRing = lasting(CoreRing::new())?;
        let ((to_other, from_new), (to_new, from_other)) = (there.split(), back.split());
        let ends = [
            (block, number, other, to_other, from_other),
            (of(other)?.block().ok_or(Error::NotAllowed)?, other, number, to_new, from_new),
        ];
        for (block, own, peer, to_peer, from_peer) in ends {
            let port = Port::new(own as usize, of(peer)?.bell(), to_peer, from_peer, CALLS);
            let neighbour = lasting(Local::new(Neighbour { port, calls: 0 }))?;
            block.neighbours[peer as usize].store(neighbour, Release);
        }
    }
    Ok(())
}

/// Puts a value where it stays for ever.
fn lasting<T>(value: T) -> Result<&'static mut T, Error> {
    let place = memory::take(size_of::<T>(), align_of::<T>()).ok_or(Error::OutOfMemory)?;
    let mut place = place.cast::<T>();
    // SAFETY: the memory was taken for it, and is nobody else's for ever.
    unsafe {
        place.write(value);
        Ok(place.as_mut())
    }
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
    let apic = time.apic.id();
    let result = start::set_up(&begun, time, events, print).and_then(|()| crossing::begin(apic));
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
