//! The end of an image: the machine is off, and what runs it is told the status.

use super::machine::{End, end};
use crate::console;
use core::fmt;

pub use crate::status::*;

/// Ends the image with `status`.
pub fn exit(status: u8) -> ! {
    end(End::Exit(status))
}

/// Ends the image with `status`, saying why in one line.
pub fn fail(status: u8, reason: fmt::Arguments<'_>) -> ! {
    console::line(format_args!("{} ERROR reflex: {reason}", crate::logger::Timestamp));
    exit(status)
}
