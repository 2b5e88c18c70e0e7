//! From the boot protocol's entry to a machine the kernel can run on.
//!
//! The entry ([`entry`]) calls `reflex_start`, which the image's facade defines; that calls
//! [`start`] with what is to go on afterwards. In order: console, the boot loader's information,
//! configuration, log, segments and exceptions, firmware tables, memory map, address space, heap, local APIC,
//! clock. What was found is handed over as [`Early`].
//!
//! Statics here are those that the language or the processor demands: the allocator, the
//! logger and its console, the crash report's hooks, and the processor's tables.
//!
//! With the feature `hosted` the machine is [simulated](hosted), in a process of the host.
#![cfg_attr(not(any(test, feature = "hosted")), no_std)]

extern crate alloc;

pub mod command_line;
#[cfg(not(feature = "hosted"))]
mod configuration;
pub mod context_config;
mod disk_error;
#[cfg(not(feature = "hosted"))]
mod fw_cfg;
mod heap_counters;
mod input_error;
pub mod known_keys;
pub mod logger;
mod machine;
mod nic_error;
mod press_error;
mod secret;
mod status;

#[cfg(not(any(test, feature = "hosted")))]
mod address_space;
#[cfg(not(any(test, feature = "hosted")))]
mod configuration_space;
#[cfg(not(feature = "hosted"))]
pub mod console;
#[cfg(not(feature = "hosted"))]
mod core_lock;
#[cfg(not(feature = "hosted"))]
#[cfg_attr(test, allow(dead_code, reason = "only images have cores"))]
mod cores;
#[cfg(not(feature = "hosted"))]
pub mod crash;
#[cfg(not(any(test, feature = "hosted")))]
pub mod devices;
#[cfg(not(any(test, feature = "hosted")))]
pub mod disks;
#[cfg(not(feature = "hosted"))]
mod early;
#[cfg(not(any(test, feature = "hosted")))]
pub mod entry;
#[cfg(all(feature = "bench", not(any(test, feature = "hosted"))))]
pub mod errand;
#[cfg(not(feature = "hosted"))]
mod exclusion;
#[cfg(not(feature = "hosted"))]
pub mod exit;
#[cfg(not(feature = "hosted"))]
pub mod heap;
#[cfg(not(any(test, feature = "hosted")))]
mod identity;
#[cfg(not(feature = "hosted"))]
mod input;
#[cfg(not(any(test, feature = "hosted")))]
mod interrupt_pin;
#[cfg(not(any(test, feature = "hosted")))]
pub mod keyboard;
#[cfg(not(feature = "hosted"))]
pub mod layout;
#[cfg(not(feature = "hosted"))]
pub mod memory_map;
#[cfg(all(feature = "bench", not(any(test, feature = "hosted"))))]
pub mod pages;
#[cfg(not(any(test, feature = "hosted")))]
pub mod power_button;
#[cfg(not(any(test, feature = "hosted")))]
pub mod presses;
#[cfg(not(any(test, feature = "hosted")))]
mod processors;
#[cfg(not(feature = "hosted"))]
mod refusal;
#[cfg(not(any(test, feature = "hosted")))]
mod runtime_symbols;
#[cfg(not(feature = "hosted"))]
#[cfg_attr(test, allow(dead_code, reason = "only images have cores"))]
mod shootdown;
#[cfg(not(feature = "hosted"))]
mod start_info;
#[cfg(not(feature = "hosted"))]
mod stop;
#[cfg(not(feature = "hosted"))]
mod string;
#[cfg(not(any(test, feature = "hosted")))]
mod trampoline;
#[cfg(not(any(test, feature = "hosted")))]
mod watchdog;
#[cfg(not(any(test, feature = "hosted")))]
mod wiring;

#[cfg(feature = "hosted")]
pub mod hosted;

pub use command_line::CommandLine;
pub use disk_error::DiskError;
#[cfg(not(feature = "hosted"))]
pub use early::{Early, SPURIOUS_VECTOR, start};
#[cfg(not(feature = "hosted"))]
pub use exclusion::set_exclusion;
#[cfg(feature = "hosted")]
pub use hosted::{console, devices, disks, exit, heap, keyboard, power_button};
pub use input_error::InputError;
pub use machine::Machine;
#[cfg(not(feature = "hosted"))]
pub use memory_map::Memory;
pub use nic_error::NicError;
pub use press_error::PressError;
pub use secret::Secret;
#[cfg(not(any(test, feature = "hosted")))]
pub use wiring::run;

/// Writes a line for machines to read: `#! ` and the text; see `qemu`'s protocol.
#[macro_export]
macro_rules! machine_line {
    ($($text:tt)*) => {
        $crate::console::machine_line(::core::format_args!($($text)*))
    };
}
