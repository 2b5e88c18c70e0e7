//! Why a call was refused.

use core::fmt;

/// Why a call was refused. It then had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The port has not been started.
    NotStarted,
    /// The port has as many of these as it was made for.
    LimitReached,
    /// A number is not possible.
    BadParameter,
    /// The completion queue has too few places for all that the queue pair can have in flight.
    CompletionsShort,
    /// It is of another protection domain.
    OtherDomain,
    /// The queue has as much in flight as it was made for: wait for completions.
    QueueFull,
    /// The queue pair is not connected, or has failed.
    NotReady,
    /// The transport has no such operation, or the work goes to another kind of queue.
    Unsupported,
    /// The message is too long.
    TooLong,
    /// The bytes lie outside of the region.
    OutOfBounds,
    /// Memory is exhausted.
    OutOfMemory,
    /// Somebody listens on the port already.
    PortInUse,
    /// The interface has no address from which the peer can be reached.
    NoAddress,
    /// It is gone already.
    Gone,
    /// More private data than a message has room for.
    PrivateData,
    /// The event system refused.
    Event(reflex_event::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "the RDMA port has not been started",
            Self::LimitReached => "the RDMA port has no place for another",
            Self::BadParameter => "a size or number is not possible",
            Self::CompletionsShort => "the completion queue is too small for the queue pair",
            Self::OtherDomain => "it belongs to another protection domain",
            Self::QueueFull => "the work queue is full",
            Self::NotReady => "the queue pair is not connected",
            Self::Unsupported => "the queue pair has no such operation",
            Self::TooLong => "the message is too long",
            Self::OutOfBounds => "the bytes lie outside of the region",
            Self::OutOfMemory => "memory is exhausted",
            Self::PortInUse => "somebody listens on the port already",
            Self::NoAddress => "the interface has no address on the peer's network",
            Self::Gone => "it is gone already",
            Self::PrivateData => "the private data is too long",
            Self::Event(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for Error {}

impl From<reflex_event::Error> for Error {
    fn from(error: reflex_event::Error) -> Self {
        Self::Event(error)
    }
}

/// Work that was refused, with its memory.
#[derive(Debug)]
pub struct Refused<W> {
    /// Why.
    pub error: Error,
    /// The work, to be posted later.
    pub work: W,
}

impl<W> fmt::Display for Refused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<W: fmt::Debug> core::error::Error for Refused<W> {}

impl<W> From<Refused<W>> for Error {
    fn from(refused: Refused<W>) -> Self {
        refused.error
    }
}
