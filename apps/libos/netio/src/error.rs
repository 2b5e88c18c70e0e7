//! Why a call was refused.

use core::fmt;

/// Why a call was refused. It then had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// All pages are under way, or all unbuffered messages that there may be: `Room` is told when it makes sense
    /// to send again.
    Again,
    /// There is no connection now.
    NotConnected,
    /// The message does not fit in a page of this side's or of the peer's.
    TooLong,
    /// A context of lower priority was come upon as it sends there.
    Busy,
    /// There is no such socket any more.
    Gone,
    /// The endpoint has as many links, publishers or subscriptions as it was made for.
    LimitReached,
    /// A size, port or number is not possible, or the memory is another endpoint's.
    BadParameter,
    /// Memory is exhausted.
    OutOfMemory,
    /// It is asked for already.
    Repeated,
    /// The transport has no such addresses.
    Unsupported,
    /// The bytes lie outside of the memory.
    OutOfBounds,
    /// TCP refused.
    Tcp(reflex_net::Error),
    /// RDMA refused.
    Rdma(reflex_rdma::Error),
    /// The event system refused.
    Event(reflex_event::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Again => "as much is under way as may be",
            Self::NotConnected => "there is no connection",
            Self::TooLong => "the message does not fit in a page",
            Self::Busy => "another context is sending there",
            Self::Gone => "the socket is gone",
            Self::LimitReached => "the endpoint has no place for another",
            Self::BadParameter => "a size or number is not possible",
            Self::OutOfMemory => "memory is exhausted",
            Self::Repeated => "it is asked for already",
            Self::Unsupported => "the transport has no such addresses",
            Self::OutOfBounds => "the bytes lie outside of the memory",
            Self::Tcp(error) => return error.fmt(f),
            Self::Rdma(error) => return error.fmt(f),
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

impl From<reflex_net::Error> for Error {
    fn from(error: reflex_net::Error) -> Self {
        Self::Tcp(error)
    }
}

impl From<reflex_rdma::Error> for Error {
    fn from(error: reflex_rdma::Error) -> Self {
        Self::Rdma(error)
    }
}
