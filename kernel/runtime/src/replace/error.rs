//! Why a context was not replaced.

use core::fmt;
use reflex_event::{Error, EventId};

/// Why a context was not replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplaceError {
    /// This registration was neither given a new handler nor named as one to be ended. Nothing has
    /// changed.
    Unnamed(EventId),
    /// The application declined. The old implementation is in place, with its state.
    Declined,
    /// The context was given up before it was replaced. Its old state is lost, as after any failure
    /// in a handler.
    Stopped,
    /// The event system refused. Nothing has changed.
    Event(Error),
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed(event) => {
                write!(f, "event {}.{} was given no new handler", event.index, event.generation)
            }
            Self::Declined => f.write_str("the application declined the replacement"),
            Self::Stopped => f.write_str("the context was given up before it was replaced"),
            Self::Event(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReplaceError {}

impl From<Error> for ReplaceError {
    fn from(error: Error) -> Self {
        Self::Event(error)
    }
}
