//! Why a disk cannot be used.

use core::fmt;

/// Why a disk cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskError {
    /// Its driver cannot use it.
    Driver(reflex_virtio_blk::Error),
    /// The bus refused to route its interrupt.
    Bus(reflex_virtio_bus::Error),
    /// The kernel has no vector left for it.
    Kernel(reflex_event::Error),
    /// The pin of its interrupt belongs to no controller.
    NoController,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => error.fmt(f),
            Self::Bus(error) => error.fmt(f),
            Self::Kernel(error) => error.fmt(f),
            Self::NoController => f.write_str("the disk's interrupt reaches no controller"),
        }
    }
}

impl From<reflex_event::Error> for DiskError {
    fn from(error: reflex_event::Error) -> Self {
        Self::Kernel(error)
    }
}
