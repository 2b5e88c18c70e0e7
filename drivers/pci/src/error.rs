//! What can go wrong between finding a function and having its registers.

use core::fmt;

/// Why a function cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A BAR is absent, an I/O BAR, or has an impossible address or size.
    BadBar,
    /// What is looked for does not lie in its BAR.
    OutsideBar,
    /// Firmware left a BAR unassigned and the window for such BARs is full.
    WindowFull,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadBar => "a BAR of the device is absent or impossible",
            Self::OutsideBar => "a structure of the device does not lie in its BAR",
            Self::WindowFull => "there is no address space left for the device's BARs",
        })
    }
}

impl core::error::Error for Error {}
