//! SSE and x87 state. `core` is compiled with SSE2, so this runs before any other Rust code.

use core::arch::asm;

/// MXCSR after reset: all exceptions masked, round to nearest (SDM vol. 1, 10.2.3).
pub const MXCSR_DEFAULT: u32 = 0x1f80;

/// CR0 bits to clear: EM (2), TS (3). CR0 bits to set: MP (1), NE (5).
pub const CR0_CLEAR: u64 = 1 << 2 | 1 << 3;
/// See [`CR0_CLEAR`].
pub const CR0_SET: u64 = 1 << 1 | 1 << 5;
/// CR4 bits to set: OSFXSR (9), OSXMMEXCPT (10).
pub const CR4_SET: u64 = 1 << 9 | 1 << 10;

/// Turns SSE on and resets the floating-point state.
///
/// # Safety
/// The caller runs at ring 0 and keeps nothing in vector or x87 registers.
pub unsafe fn enable() {
    // SAFETY: the bits only permit SSE instructions and native x87 errors; ring 0 is the
    // caller's duty.
    unsafe {
        asm!(
            "mov {r}, cr0", "and {r}, {clear0}", "or {r}, {set0}", "mov cr0, {r}",
            "mov {r}, cr4", "or {r}, {set4}", "mov cr4, {r}",
            r = out(reg) _,
            clear0 = const !(CR0_CLEAR as i32),
            set0 = const CR0_SET,
            set4 = const CR4_SET,
            options(nostack),
        );
        reset();
    }
}

/// Empties the x87 stack and puts rounding and exception masks to their defaults.
///
/// # Safety
/// The caller keeps nothing in x87 registers and does not rely on another rounding mode.
#[inline]
pub unsafe fn reset() {
    let mxcsr = MXCSR_DEFAULT;
    // SAFETY: `mxcsr` is a live local with no reserved bit set; the rest is the caller's duty.
    unsafe { asm!("fninit", "ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly)) };
}
