//! What can go wrong, and with what status an image ends that gives up because of it.

use crate::http::HttpError;
use core::fmt;
use reflex_boot::context_config::ConfigError;
use reflex_boot::devices::{InputError, NicError};
use reflex_boot::exit as status;
use reflex_event::Error as EventError;
use reflex_keyed_timers::Refused as DeadlineRefused;
use reflex_runtime::{LockError, ReplaceError};

/// Why the system refused something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The event system refused.
    Event(EventError),
    /// The network stack refused.
    Net(reflex_net::Error),
    /// The RDMA port refused.
    Rdma(reflex_rdma::Error),
    /// An endpoint of NetIO's refused.
    Netio(reflex_messaging::Error),
    /// A site or routes cannot be served.
    Http(HttpError),
    /// The machine has no network interface that this image can drive.
    Interface(NicError),
    /// A disk was refused, for this reason.
    Disk(&'static str),
    /// The console cannot be read.
    Console(InputError),
    /// What the kernel command line says of a context makes no sense.
    Configuration(ConfigError<'static>),
    /// A mutex was not locked or renewed.
    Lock(LockError),
    /// A deadline was not set, moved or cancelled.
    Deadline(DeadlineRefused),
    /// A context was not replaced.
    Replace(ReplaceError),
    /// The application's own reason.
    Application(&'static str),
}

impl Error {
    /// The status with which an image ends when `main` returns this.
    pub fn status(self) -> u8 {
        match self {
            Self::Interface(NicError::Kernel(error)) => Self::Event(error).status(),
            Self::Interface(_) => status::NO_NETWORK,
            Self::Event(EventError::OutOfMemory | EventError::HeapExhausted)
            | Self::Lock(LockError::OutOfMemory)
            | Self::Net(
                reflex_net::Error::OutOfMemory
                | reflex_net::Error::BufferMemory { .. }
                | reflex_net::Error::HandlerMemory { .. },
            )
            | Self::Rdma(reflex_rdma::Error::OutOfMemory) => status::TOO_LITTLE_MEMORY,
            Self::Net(reflex_net::Error::Event(error))
            | Self::Rdma(reflex_rdma::Error::Event(error))
            | Self::Replace(ReplaceError::Event(error)) => Self::Event(error).status(),
            Self::Netio(reflex_messaging::Error::Tcp(error)) => Self::Net(error).status(),
            Self::Netio(reflex_messaging::Error::Rdma(error)) => Self::Rdma(error).status(),
            Self::Netio(reflex_messaging::Error::Event(error)) => Self::Event(error).status(),
            Self::Netio(reflex_messaging::Error::OutOfMemory) => status::TOO_LITTLE_MEMORY,
            Self::Configuration(_) => status::BAD_COMMAND_LINE,
            _ => status::MAIN_FAILED,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(error) => error.fmt(f),
            Self::Net(error) => error.fmt(f),
            Self::Rdma(error) => error.fmt(f),
            Self::Netio(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
            Self::Interface(error) => error.fmt(f),
            Self::Console(error) => error.fmt(f),
            Self::Configuration(error) => error.fmt(f),
            Self::Lock(error) => error.fmt(f),
            Self::Deadline(error) => error.fmt(f),
            Self::Replace(error) => error.fmt(f),
            Self::Disk(reason) | Self::Application(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for Error {}

impl From<EventError> for Error {
    fn from(error: EventError) -> Self {
        Self::Event(error)
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl From<DeadlineRefused> for Error {
    fn from(refused: DeadlineRefused) -> Self {
        Self::Deadline(refused)
    }
}

impl From<ReplaceError> for Error {
    fn from(error: ReplaceError) -> Self {
        Self::Replace(error)
    }
}

impl From<&'static str> for Error {
    fn from(reason: &'static str) -> Self {
        Self::Application(reason)
    }
}

impl From<reflex_rdma::Error> for Error {
    fn from(error: reflex_rdma::Error) -> Self {
        Self::Rdma(error)
    }
}

impl<W> From<reflex_rdma::Refused<W>> for Error {
    fn from(refused: reflex_rdma::Refused<W>) -> Self {
        Self::Rdma(refused.error)
    }
}

impl From<reflex_messaging::Error> for Error {
    fn from(error: reflex_messaging::Error) -> Self {
        Self::Netio(error)
    }
}

/// A reason is what is kept of it: images without disks are not to have the sentences.
impl From<reflex_block::Error> for Error {
    fn from(error: reflex_block::Error) -> Self {
        match (error, error.reason()) {
            (reflex_block::Error::Event(error), _) => Self::Event(error),
            (_, reason) => Self::Disk(reason.unwrap_or_default()),
        }
    }
}

impl From<reflex_block::Refused> for Error {
    fn from(refused: reflex_block::Refused) -> Self {
        refused.error.into()
    }
}

impl From<reflex_net::Error> for Error {
    fn from(error: reflex_net::Error) -> Self {
        Self::Net(error)
    }
}
