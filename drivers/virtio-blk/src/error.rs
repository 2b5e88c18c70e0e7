//! Why there is no disk.

use core::fmt;

/// Why a device could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The device is no block device.
    OtherDevice,
    /// The device's configuration has a block size that cannot be.
    BlockSize,
    /// The device's queue holds no request.
    QueueTooSmall,
    /// The device did not answer in time when it was asked for its name.
    Silent,
    /// The device could not be started.
    Start(reflex_virtio_bus::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDevice => f.write_str("the device is no block device"),
            Self::BlockSize => f.write_str("the disk has an impossible block size"),
            Self::QueueTooSmall => f.write_str("the disk's queue holds no request"),
            Self::Silent => f.write_str("the disk did not answer in time"),
            Self::Start(error) => write!(f, "the disk could not be started: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<reflex_virtio_bus::Error> for Error {
    fn from(error: reflex_virtio_bus::Error) -> Self {
        Self::Start(error)
    }
}
