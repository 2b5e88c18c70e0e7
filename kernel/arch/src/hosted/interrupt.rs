//! Interrupts: a call of the kernel's, where they are let through.

use super::processor;

pub use crate::x86_64::interrupt::{FIRST_VECTOR, Interrupted, VECTORS, entered_at};

/// No interrupt leaves a frame here.
pub fn interrupted(_: impl Iterator<Item = (usize, u64)> + Clone) -> Option<Interrupted> {
    None
}

/// Lets interrupts through; those that are pending come at once.
///
/// # Safety
/// The kernel has been started.
pub unsafe fn enable() {
    processor::enable();
}

/// Masks interrupts.
pub fn disable() {
    processor::disable();
}

/// Whether interrupts are let through.
pub fn enabled() -> bool {
    processor::enabled()
}

/// Lets interrupts through and halts until one has been served.
///
/// # Safety
/// As [`enable`].
pub unsafe fn enable_and_halt() {
    processor::halt();
}
