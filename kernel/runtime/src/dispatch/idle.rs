//! Nothing to do: the processor halts until an interrupt, and no wake-up is lost.

use crate::cpu;
use crate::cpu::Cpu;
use crate::cpu::stack::IdleStack;
use crate::dispatch::section::{Outermost, Start};
use crate::dispatch::{memory, switch};
use core::sync::atomic::Ordering::Relaxed;
use reflex_arch::{clock, interrupt};
use reflex_event::Error;

/// Makes the idle stack.
pub(crate) fn init(start: &Start) -> Result<(), Error> {
    let top = memory::stack(8 << 10).ok_or(Error::OutOfMemory)?;
    cpu::this().idle_stack.set(start, IdleStack { top, entry: bottom });
    Ok(())
}

/// Time stamp counts spent halted since the start: all others were busy.
pub(crate) fn halted() -> u64 {
    cpu::this().halted.load(Relaxed)
}

/// An interrupt has ended a halt, if there was one.
#[inline(always)]
pub(crate) fn woken() {
    let Cpu { halted_since, halted, .. } = cpu::this();
    let since = halted_since.load(Relaxed);
    if since != 0 {
        halted_since.store(0, Relaxed);
        halted.store(halted.load(Relaxed) + (clock::tsc() - since), Relaxed);
    }
}

/// The bottom of the idle stack.
///
/// # Safety
/// The stack is the idle one, and the caller holds the outermost section.
#[unsafe(naked)]
unsafe extern "C" fn bottom(_: u64, _: u64, _: u64) -> ! {
    core::arch::naked_asm!("call {idle}", "ud2", idle = sym idle)
}

extern "C" fn idle() -> ! {
    // SAFETY: the code that came here held it, and has gone for good.
    let mut outermost = unsafe { Outermost::assume() };
    loop {
        interrupt::disable();
        let free = outermost.give_up();
        if !free.waits() {
            cpu::this().halted_since.store(clock::tsc(), Relaxed);
            // SAFETY: the kernel has been started, so every vector has its entry. Masked since
            // before the last look at what waits: what comes now ends the halt.
            unsafe { interrupt::enable_and_halt() };
        } else {
            // SAFETY: as above.
            unsafe { interrupt::enable() };
        }
        outermost = free.hold();
        switch::service(&mut outermost, 0);
    }
}
