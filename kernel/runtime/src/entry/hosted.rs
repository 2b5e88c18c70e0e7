//! The kernel on a simulated processor, as what runs that has it.
//!
//! ```text
//!   start ──▶ [kernel runs] ──halts──▶ [what runs it] ──▶ release
//!                   ▲                        │
//!                   └──────────run───────────┘
//! ```
//!
//! Between the runs a section is open: what is activated there runs when the processor goes on.

use crate::cpu;
use crate::cpu::deferral;
use reflex_arch::context::Entry;
use reflex_arch::hosted::processor;

/// The processor and the kernel become the calling thread's, as they are before the kernel's start, and what they
/// had is forgotten. The processor begins with `entry` and `argument`, to start the kernel, on the empty stack with
/// the upper end `top`. Returns when it halts, or is turned off.
///
/// # Safety
/// As [`processor::begin`].
///
/// # Panics
/// When a thread has them that has not [released](processor::release) them.
pub unsafe fn start(top: usize, entry: Entry, argument: u64) {
    processor::take();
    // SAFETY: nothing goes on of what the processor has run, since it was nobody's. The rest is the caller's duty.
    unsafe {
        cpu::renew();
        processor::begin(top, entry, argument);
    }
    hold();
}

/// Has the processor go on, and returns when it halts again, or is turned off. False when it had
/// not halted.
pub fn run() -> bool {
    if !processor::is_halted() {
        return false;
    }
    deferral::set_depth(0);
    let ran = processor::run();
    hold();
    ran
}

/// Keeps what the caller does from being dispatched on the caller's stack.
fn hold() {
    deferral::set_depth(1);
}
