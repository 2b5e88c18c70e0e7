//! The console: what is written there is the test's output.

use core::fmt;

/// Writes a line.
pub fn line(text: fmt::Arguments<'_>) {
    std::println!("{text}");
}

/// Writes a line for machines: nobody reads them here.
pub fn machine_line(_: fmt::Arguments<'_>) {}
