//! Why a deadline was not set.

use core::fmt;

/// Why a deadline was not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// As many deadlines are set as there is room for.
    Full,
    /// The registration has ended, by itself or with its context: there is nothing to be told.
    Ended,
    /// No deadline is set under the key.
    NotSet,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "as many deadlines are set as there is room for",
            Self::Ended => "the registration of the deadlines has ended",
            Self::NotSet => "no deadline is set under the key",
        })
    }
}

impl core::error::Error for Refused {}
