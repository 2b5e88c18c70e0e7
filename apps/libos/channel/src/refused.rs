//! Why a message was not taken.

use core::fmt;
use reflex_event::Error;

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// As many messages wait as there are places.
    Full,
    /// There is no receiving end: there has been none yet, or it has come to its end.
    Closed,
    /// The kernel refuses the activation.
    Kernel(Error),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the channel is full"),
            Self::Closed => f.write_str("the channel has no receiving end"),
            Self::Kernel(error) => write!(f, "the receiving end cannot be activated: {error}"),
        }
    }
}

impl core::error::Error for Reason {}

/// A message that was not taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// Why.
    pub reason: Reason,
    /// The message, untouched.
    pub value: T,
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> From<Refused<T>> for Reason {
    fn from(refused: Refused<T>) -> Self {
        refused.reason
    }
}
