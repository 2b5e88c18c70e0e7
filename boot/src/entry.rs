//! From the boot protocols' entry to Rust.
//!
//! The entry calls `reflex_start(start_info: u32) -> !`, which the image's facade defines, and
//! which is to call [`crate::start`].

use core::arch::global_asm;

global_asm!(include_str!("entry.s"));
global_asm!(include_str!("multiboot.s"));
