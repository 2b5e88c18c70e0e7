//! Why the wheel refused.

use core::fmt;

/// Why the wheel refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The key names no timer: it was removed, or never existed.
    Stale,
    /// As many timers as the wheel was made for exist.
    TableFull,
    /// The heap could not provide the memory for more timers.
    HeapExhausted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the key names no timer",
            Self::TableFull => "the wheel holds as many timers as it was made for",
            Self::HeapExhausted => "the heap is exhausted",
        })
    }
}

impl core::error::Error for Error {}
