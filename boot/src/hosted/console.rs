//! The console: what is written there is the test's output, and kept for the test to look at.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use reflex_arch::hosted::processor;
use std::sync::{Mutex, PoisonError};

/// What the machine has written that has the processor now, since it was looked at.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes a line.
pub fn line(text: fmt::Arguments<'_>) {
    let line = format!("{text}");
    std::println!("{line}");
    // Others write to the log, too.
    if processor::is_own() {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Writes a line for machines: nobody reads them here.
pub fn machine_line(_: fmt::Arguments<'_>) {}

/// Takes the lines that were written.
pub(super) fn take() -> Vec<String> {
    core::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner))
}
