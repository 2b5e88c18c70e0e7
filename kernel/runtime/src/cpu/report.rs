//! A report that is being printed.

use super::reason::FailureReport;
use super::registers::Registers;
use core::fmt;

/// Prints a line.
pub type Print = fn(fmt::Arguments<'_>);

/// Words of the stack that are reported, at most, and those in one line.
pub(crate) const WORDS: usize = 1024;
pub(crate) const LINE: usize = 4;

/// A report that is being printed.
pub(crate) struct Report {
    pub(crate) failure_report: FailureReport,
    pub(crate) registers: Registers,
    /// Where the words of the stack were.
    pub(crate) from: usize,
    pub(crate) words: usize,
    /// Lines that have been printed, or left out.
    pub(crate) printed: usize,
}
