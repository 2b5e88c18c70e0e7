//! Why presses of what turns the machine off are not told.

use core::fmt;
use reflex_event::Error;

/// Why presses are not told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PressError {
    /// The firmware tells of no power button.
    NoButton,
    /// The firmware tells of no keyboard controller, or none answers.
    NoKeyboard,
    /// The firmware keeps the power button's interrupt.
    NotHandedOver,
    /// The interrupt belongs to no controller.
    NoController,
    /// The kernel has no vector, no job or no memory left for it.
    Kernel(Error),
}

impl fmt::Display for PressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoButton => f.write_str("the machine has no power button"),
            Self::NoKeyboard => f.write_str("the machine has no keyboard controller"),
            Self::NotHandedOver => f.write_str("the firmware keeps the power button's interrupt"),
            Self::NoController => f.write_str("its interrupt reaches no interrupt controller"),
            Self::Kernel(error) => write!(f, "the kernel has no room for it: {error}"),
        }
    }
}

impl core::error::Error for PressError {}

impl From<Error> for PressError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}
