//! From the boot protocol's entry to a machine the kernel can run on.
//!
//! The entry ([`entry`]) calls `reflex_start`, which the image's facade defines; that calls
//! [`start`] with what is to go on afterwards. In order: console, start info, command line,
//! log, segments and exceptions, firmware tables, memory map, address space, heap, local APIC,
//! clock. What was found is handed over as [`Early`].
//!
//! Statics here are those that the language or the processor demands: the allocator, the
//! logger and its console, the crash report's hooks, and the processor's tables.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

#[cfg(not(test))]
mod address_space;
#[cfg(not(test))]
mod configuration_space;
#[cfg(not(test))]
pub mod devices;
mod early;
mod exclusion;
#[cfg(not(test))]
mod identity;
mod input;
#[cfg(not(test))]
mod interrupt_pin;
mod start_info;

pub mod command_line;
pub mod console;
pub mod context_config;
pub mod crash;
#[cfg(not(test))]
pub mod entry;
pub mod exit;
pub mod heap;
mod heap_counters;
#[cfg(not(test))]
pub mod keyboard;
pub mod known_keys;
pub mod layout;
pub mod logger;
mod machine;
pub mod memory_map;
#[cfg(not(test))]
pub mod power_button;
#[cfg(not(test))]
pub mod presses;
mod refusal;
#[cfg(not(test))]
mod runtime_symbols;
mod string;
#[cfg(not(test))]
mod watchdog;
#[cfg(not(test))]
mod wiring;

pub use command_line::CommandLine;
pub use early::{Early, SPURIOUS_VECTOR, start};
pub use exclusion::set_exclusion;
pub use machine::Machine;
pub use memory_map::Memory;
#[cfg(not(test))]
pub use wiring::run;

/// Writes a line for machines to read: `#! ` and the text; see `qemu`'s protocol.
#[macro_export]
macro_rules! machine_line {
    ($($text:tt)*) => {
        $crate::console::machine_line(::core::format_args!($($text)*))
    };
}
