//! Tests that need the machine: real interrupts, real stacks, a real network interface.
#![no_std]
#![no_main]

extern crate alloc;

mod foreground;
mod inheritance;
mod preemption;
mod signals;
mod timers;
mod trace;

reflex::test_image!();
