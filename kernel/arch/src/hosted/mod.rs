//! A processor that is simulated in a process of the host, with the feature `hosted`: for tests.
//!
//! What is not privileged is the real thing: stacks, and going from one to another. What is
//! privileged is data of this module: whether interrupts are let through, which are pending, the
//! time stamp counter and the timer. So the kernel above runs as it does in an image, and what it does
//! depends on nothing but what it is given.
//!
//! - **Time is virtual.** The counter counts nanoseconds; it goes on by one with each reading, so that code
//!   that waits for a time gets there, and is [set forward](processor::advance_to) from outside.
//! - **Interrupts** come where they are let through, where the counter is read, and where the processor
//!   halts: at the same points in every run.
//! - **A halted processor** goes back to [what runs it](processor::run).

pub mod apic;
pub mod interrupt;
pub mod processor;

pub use crate::x86_64::{
    acpi, calibration, clock, context, core_words, cpu, exception, fpu, ioapic, keyboard, paging,
    pic, port, power, power_button, processors, random, rtc, segments, serial,
};
