//! The names of [`crate`], for x86-64 machines with a local APIC.

pub mod acpi;
pub mod apic;
pub mod calibration;
pub mod clock;
pub mod context;
pub mod core_words;
pub mod cpu;
pub mod exception;
pub mod fpu;
pub mod interrupt;
pub mod ioapic;
pub mod keyboard;
pub mod mp_table;
pub mod paging;
pub mod pic;
pub mod port;
pub mod power;
pub mod power_button;
pub mod processors;
pub mod random;
pub mod rtc;
pub mod segments;
pub mod serial;
pub mod synchronize;
