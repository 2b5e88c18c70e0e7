//! Why there is no network interface.

use core::fmt;

/// Why there is no network interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NicError {
    /// The machine has none.
    None,
    /// Its driver cannot use it.
    Driver(reflex_virtio_net::Error),
    /// The bus refused to route its interrupts.
    Bus(reflex_virtio_bus::Error),
    /// The kernel has no vector or no memory left for it.
    Kernel(reflex_event::Error),
    /// The pin of its interrupt belongs to no controller.
    NoController,
}

impl fmt::Display for NicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("the machine has no virtio network interface"),
            Self::Driver(error) => write!(f, "the network interface cannot be used: {error}"),
            Self::Bus(error) => write!(f, "the network interface cannot be used: {error}"),
            Self::Kernel(error) => write!(f, "no network interface: {error}"),
            Self::NoController => {
                f.write_str("the network interface's interrupt reaches no controller")
            }
        }
    }
}

impl From<reflex_event::Error> for NicError {
    fn from(error: reflex_event::Error) -> Self {
        Self::Kernel(error)
    }
}
