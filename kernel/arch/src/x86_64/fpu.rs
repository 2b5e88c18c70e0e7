//! SSE and x87 state.
//!
//! Turning SSE on is the entry's duty (CR0.EM and TS off, CR4.OSFXSR and OSXMMEXCPT on):
//! compiled code uses it from its first instruction.

use core::arch::asm;

/// MXCSR after reset: all exceptions masked, round to nearest (SDM vol. 1, 10.2.3).
pub const MXCSR_DEFAULT: u32 = 0x1f80;

/// Empties the x87 stack and puts rounding and exception masks to their defaults.
///
/// # Safety
/// The caller keeps nothing in x87 registers and does not rely on another rounding mode.
#[inline]
pub unsafe fn reset() {
    let mxcsr = MXCSR_DEFAULT;
    // SAFETY: `mxcsr` is a live local with no reserved bit set; nobody needs the floating point
    // state that is lost, says the caller.
    unsafe { asm!("fninit", "ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly)) };
}
