//! The machine, as the library OS finds it.

use crate::CommandLine;
use reflex_arch::acpi::Facts;

/// What the image was started with and on.
pub struct Machine {
    /// The kernel command line.
    pub arguments: CommandLine<'static>,
    /// Seconds from 1970-01-01 UTC to the image's start; 0 when the real-time clock is broken.
    pub started_unix_seconds: u64,
    /// What the firmware tells.
    pub firmware: Option<Facts>,
    /// Time stamp counts a second.
    pub tsc_hz: u64,
    /// The local APIC identifier of the processor that runs the image.
    pub processor: u8,
    /// The devices of a simulated machine.
    #[cfg(feature = "hosted")]
    pub devices: crate::hosted::Devices,
}
