//! Stopping the other cores, when the image ends.
//!
//! The core that ends the image, because it crashed or because it was told to, sends the others a non-maskable
//! interrupt: that comes whatever they are at, on a stack of its own. Each leaves word of where it was, and halts for
//! good. Should two cores end the image at once, the second is stopped by the first.

use crate::cores;
use core::fmt::{self, Write};
use core::hint::spin_loop;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32};
use reflex_arch::cpu;
use reflex_arch::exception::ExceptionFrame;
use reflex_arch::processors::MOST;
use reflex_runtime::report::Registers;

/// The vector of non-maskable interrupts.
const NMI: u64 = 2;

/// How long the others may take to stop: an emulator with fewer processors than cores takes some 10 ms.
const PATIENCE_NS: u64 = 1_000_000_000;

/// Where a core was when it was stopped.
pub(crate) struct Stopped {
    /// Its registers.
    pub(crate) registers: Registers,
    running: [u8; Self::BYTES],
    length: usize,
}

/// The number of the core that ends the image, plus 1; 0 before.
static ENDING: AtomicU32 = AtomicU32::new(0);

/// What each core has left: on its own stack, which it does not leave.
static LEFT: [AtomicPtr<Stopped>; MOST] = [const { AtomicPtr::new(null_mut()) }; MOST];

impl Stopped {
    /// Enough for the longest names of contexts that are reported; longer ones are cut.
    const BYTES: usize = 128;

    /// What ran.
    pub(crate) fn running(&self) -> &str {
        core::str::from_utf8(&self.running[..self.length]).unwrap_or("")
    }
}

impl Write for Stopped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let end = self.length + letter.len_utf8();
            let place = self.running.get_mut(self.length..end).ok_or(fmt::Error)?;
            letter.encode_utf8(place);
            self.length = end;
        }
        Ok(())
    }
}

/// Stops all other cores; when another one ends the image already, this one halts. Interrupts are masked.
pub(crate) fn stop_others() {
    let Some(means) = cores::means() else { return };
    let own = cores::this() + 1;
    match ENDING.compare_exchange(0, own, AcqRel, Relaxed) {
        Ok(_) => {}
        // Again: its last words have crashed.
        Err(ending) if ending == own => return,
        // It is to be stopped like all others.
        Err(_) => cpu::halt(),
    }
    for (_, id) in cores::others() {
        means.apic.send_nmi(id);
    }
    let end = means.clock.now() + PATIENCE_NS;
    let all_are = || cores::others().all(|(number, _)| stopped(number).is_some());
    while !all_are() && means.clock.now() < end {
        spin_loop();
    }
}

/// Where the core `number` was when it was stopped, if it was.
pub(crate) fn stopped(number: u32) -> Option<&'static Stopped> {
    let left = LEFT[number as usize].load(Acquire);
    // SAFETY: a core stores the address of a value on a stack that it never leaves again, and changes it no more.
    unsafe { left.as_ref() }
}

/// Stops this core, if the exception is another's asking for that. `running` writes what runs.
pub(crate) fn obey(frame: &ExceptionFrame, running: impl FnOnce(&mut dyn Write) -> fmt::Result) {
    let ending = ENDING.load(Acquire);
    let own = cores::this();
    if frame.vector != NMI || ending == 0 || ending == own + 1 {
        return;
    }
    let mut left =
        Stopped { registers: Registers::of(frame), running: [0; Stopped::BYTES], length: 0 };
    // What is too long is cut.
    let _ = running(&mut left);
    LEFT[own as usize].store(&raw mut left, Release);
    cpu::halt()
}
