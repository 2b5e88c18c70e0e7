//! What can go wrong, and with what status an image ends that gives up because of it.

use core::fmt;
use reflex_boot::exit as status;

/// Why the system refused something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The event system refused.
    Event(reflex_boot::EventError),
    /// The machine has no network interface that this image can drive.
    NoInterface,
    /// The application's own reason.
    Application(&'static str),
}

impl Error {
    /// The status with which an image ends whose `main` returns this.
    pub fn status(self) -> u8 {
        match self {
            Self::NoInterface => status::NO_NETWORK,
            _ => status::MAIN_FAILED,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(error) => error.fmt(f),
            Self::NoInterface => f.write_str(
                "the machine has no virtio network interface; give QEMU one, as `cargo reflex run` does",
            ),
            Self::Application(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for Error {}

impl From<reflex_boot::EventError> for Error {
    fn from(error: reflex_boot::EventError) -> Self {
        Self::Event(error)
    }
}
