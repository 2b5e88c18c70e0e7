//! Tests that need the machine: real interrupts, real stacks, a real network interface.
#![no_std]
#![no_main]

extern crate alloc;

mod control;
mod foreground;
mod inheritance;
mod interrupts;
mod memory;
mod network;
mod preemption;
mod signals;
mod storms;
mod timers;
mod trace;

reflex::test_image!();
