//! Why there is no console input.

use core::fmt;
use reflex_event::Error;

/// Why there is no console input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputError {
    /// The machine has no serial port.
    NoPort,
    /// Other code reads it.
    Taken,
    /// The port's interrupt belongs to no controller.
    NoController,
    /// The kernel has no vector, no job or no memory left for it.
    Kernel(Error),
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort => f.write_str("the machine has no serial port"),
            Self::Taken => f.write_str("somebody else reads the console"),
            Self::NoController => f.write_str("the serial port's interrupt reaches no controller"),
            Self::Kernel(error) => write!(f, "no console input: {error}"),
        }
    }
}

impl core::error::Error for InputError {}

impl From<Error> for InputError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}
