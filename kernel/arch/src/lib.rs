//! The machine, under names that every architecture defines.
//!
//! Nothing here holds state of its own: tables the processor reads (segments, interrupt
//! vectors, page tables) belong to the caller, and every device is a value. `kernel/runtime`
//! and `boot` build on these names:
//!
//! | name | what it is |
//! | --- | --- |
//! | [`cpu`] | processor features, stopping |
//! | [`segments`], [`exception`] | vector tables, their stacks, and the state a fault leaves |
//! | [`interrupt`], [`context`] | interrupt entry, and moving between stacks |
//! | [`core_words`] | the words that each core has to itself |
//! | [`paging`] | an identity-mapped address space, writable or executable but never both |
//! | [`apic`], [`ioapic`], [`pic`] | interrupt controllers and the one-shot timer |
//! | [`clock`], [`calibration`], [`rtc`] | monotonic time and the date |
//! | [`acpi`], [`power`], [`power_button`], [`keyboard`] | what the firmware tells, turning the machine off, and when that is asked for |
//! | [`serial`], [`port`], [`random`], [`fpu`] | the rest |
//!
//! With the feature `hosted` the privileged ones are those of a [processor that is simulated](hosted).
#![cfg_attr(not(test), no_std)]

mod error;
#[cfg(feature = "hosted")]
pub mod hosted;
#[cfg_attr(
    feature = "hosted",
    allow(dead_code, unreachable_pub, reason = "what is privileged is not to be used then")
)]
mod x86_64;

#[cfg(feature = "hosted")]
pub use crate::hosted::*;
#[cfg(not(feature = "hosted"))]
pub use crate::x86_64::*;
pub use error::Error;
