//! A machine that is simulated in a process of the host: for tests.
//!
//! The processor is [`reflex_arch::hosted`]'s, the kernel is the image's own, and so is all that stands on
//! it. What is in the place of the hardware is here: memory and [stacks](stacks) from the host, a network
//! interface of which the other end is [at hand](Devices), disks, a power button. There is one such machine at a time
//! in a process, and the thread that has started it has it.
//!
//! What cannot be shown here: faults of the processor and stacks that overflow, which end the process; code that
//! never looks at the time and never returns; the global heap's bound, as the heap is the host's; the console's
//! input.

pub mod console;
pub mod devices;
pub mod disks;
pub mod exit;
pub mod heap;
pub mod keyboard;
mod machine;
pub mod power_button;
mod stacks;

pub use devices::Devices;
pub use machine::{End, Hosted, Settings};

use reflex_arch::hosted::processor;

/// Nanoseconds since the start of the machine.
pub fn nanoseconds() -> u64 {
    processor::count()
}
