//! Nothing to do: the processor halts until an interrupt, and no wake-up is lost.

use crate::{dispatch, registry, section};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex_arch::{clock, context, interrupt};

/// When the present halt began; 0 when not halted.
static SINCE: AtomicU64 = AtomicU64::new(0);

/// Time stamp counts spent halted.
static HALTED: AtomicU64 = AtomicU64::new(0);

/// Time stamp counts spent halted since the start: all others were busy.
pub(crate) fn halted() -> u64 {
    HALTED.load(Relaxed)
}

/// An interrupt has ended a halt, if there was one.
#[inline(always)]
pub(crate) fn woken() {
    let since = SINCE.load(Relaxed);
    if since != 0 {
        SINCE.store(0, Relaxed);
        HALTED.store(HALTED.load(Relaxed) + (clock::tsc() - since), Relaxed);
    }
}

/// Goes to the idle stack. The caller holds the outermost section.
pub(crate) fn enter() -> ! {
    // SAFETY: the idle stack is used by nobody else, and nothing on it is ever gone back to.
    unsafe { context::restart(registry::idle_stack_top(), bottom, [0; 3]) }
}

/// The bottom of the idle stack.
///
/// # Safety
/// The stack is the idle one, and the caller holds the outermost section.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn bottom(_: u64, _: u64, _: u64) -> ! {
    core::arch::naked_asm!("call {idle}", "ud2", idle = sym idle)
}

extern "C" fn idle() -> ! {
    loop {
        interrupt::disable();
        if section::give_up() {
            SINCE.store(clock::tsc(), Relaxed);
            // SAFETY: the kernel has been started, so every vector has its entry. Masked since
            // before the last look at what waits: what comes now ends the halt.
            unsafe { interrupt::enable_and_halt() };
        } else {
            // SAFETY: as above.
            unsafe { interrupt::enable() };
        }
        section::hold();
        dispatch::service(0);
    }
}
