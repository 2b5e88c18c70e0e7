//! Why there is no interface.

use core::fmt;

/// Why a device could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The device is no network device.
    OtherDevice,
    /// The device has no hardware address.
    NoAddress,
    /// The pool of frames cannot fill the receive ring.
    TooFewFrames,
    /// The device could not be started.
    Start(reflex_virtio_bus::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDevice => f.write_str("the device is no network device"),
            Self::NoAddress => f.write_str("the network device has no hardware address"),
            Self::TooFewFrames => f.write_str("the pool of frames cannot fill the receive ring"),
            Self::Start(error) => write!(f, "the network device could not be started: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<reflex_virtio_bus::Error> for Error {
    fn from(error: reflex_virtio_bus::Error) -> Self {
        Self::Start(error)
    }
}
