//! What benchmarks need of the machine, with the feature `bench`.

use crate::dispatch::timer;
use crate::dispatch::vector::Vector;
use reflex_arch::{clock, interrupt};

/// The time stamp counter: guest instructions under `-icount`.
#[inline(always)]
pub fn timestamp() -> u64 {
    clock::tsc()
}

/// The time stamp counter at the first instruction of the last interrupt's entry.
#[inline(always)]
pub fn entered_at() -> u64 {
    interrupt::entered_at()
}

/// Raises `vector` on this processor.
pub fn raise(vector: Vector) {
    timer::interrupt_self(vector.number());
}

/// Masks interrupts until the processor next halts, which is when an interrupt raised meanwhile
/// is taken. The present handler is to return at once.
pub fn mask_until_halt() {
    interrupt::disable();
}
