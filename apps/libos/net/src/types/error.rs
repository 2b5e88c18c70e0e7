//! What can go wrong: with a call, and with a connection.

use core::fmt;

/// Why a call was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The connection is over, or its sending half is closed, or the handle is of an earlier one; or
    /// the context that served the socket has been given up.
    Closed,
    /// Another socket has the port.
    PortInUse,
    /// The owner's number of connections is reached.
    LimitReached,
    /// No ephemeral port towards that peer is free.
    NoPort,
    /// The interface has no address yet.
    NoAddress,
    /// The destination cannot be a peer: port or address 0, a group, or a broadcast.
    BadDestination,
    /// A parameter is out of its range: port 0, no buffer, no connection.
    BadParameter,
    /// The datagram is longer than one frame carries.
    TooLong,
    /// The socket's send queue has no room for the datagram.
    QueueFull,
    /// `Net::start` has not been called.
    NotStarted,
    /// The owner's event memory is exhausted.
    OutOfMemory,
    /// Of the machine's memory, less is to be had than the connections' buffers and queues need: bytes.
    BufferMemory {
        /// What they need.
        needed: usize,
        /// What there is, or what the owner may have.
        free: usize,
    },
    /// The owner's event memory has less room than the connections' handlers need: bytes.
    HandlerMemory {
        /// What they need.
        needed: usize,
        /// What there is.
        free: usize,
    },
    /// The event system refused.
    Event(reflex_event::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed",
            Self::PortInUse => "the port is in use",
            Self::LimitReached => "the limit of connections is reached",
            Self::NoPort => "no ephemeral port is free towards that peer",
            Self::NoAddress => "the interface has no address yet",
            Self::BadDestination => "the destination is not a unicast address and port",
            Self::BadParameter => "a parameter is out of range",
            Self::TooLong => "the datagram does not fit in one frame",
            Self::QueueFull => "the socket's send queue is full",
            Self::NotStarted => "the network stack has not been started",
            Self::OutOfMemory => "the owner's event memory is exhausted",
            Self::BufferMemory { needed, free } => {
                return write!(
                    f,
                    "the connections' buffers need {needed} bytes, and {free} are to be had"
                );
            }
            Self::HandlerMemory { needed, free } => {
                return write!(
                    f,
                    "the connections' handlers need {needed} bytes of the context's event memory, \
                     which has {free}"
                );
            }
            Self::Event(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for Error {}

impl From<reflex_event::Error> for Error {
    fn from(error: reflex_event::Error) -> Self {
        match error {
            reflex_event::Error::OutOfMemory => Self::OutOfMemory,
            error => Self::Event(error),
        }
    }
}

/// Why a connection ended that neither side closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionError {
    /// The peer answered the attempt to connect with a reset: nobody listens there.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// The peer has not answered for as long as the settings allow.
    TimedOut,
    /// The interface lost the connection's local address.
    AddressLost,
    /// The application has written more than the connection's queue has room for, or there was no memory for it.
    WriteOverflow,
    /// There was no memory for what is kept of the connection.
    OutOfMemory,
    /// The network said that the peer cannot be reached: at once when a connection is being opened and trying again is of no
    /// use, else when the peer has not answered for too long (RFC 1122, 4.2.3.9).
    Unreachable,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the peer refused the connection",
            Self::Reset => "the peer reset the connection",
            Self::TimedOut => "the peer does not answer",
            Self::AddressLost => "the interface lost the connection's address",
            Self::WriteOverflow => "more was written than the connection's queue has room for",
            Self::OutOfMemory => "there is no memory for what is kept of the connection",
            Self::Unreachable => "the network says that the peer cannot be reached",
        })
    }
}

impl core::error::Error for ConnectionError {}
