//! The machine, as the library OS finds it.

use crate::CommandLine;
use alloc::boxed::Box;
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
    /// The local APIC identifiers of the processors that run, by their numbers; `main` runs on the first.
    pub processors: Box<[u32]>,
    /// Its virtio devices that no driver has, once they have been looked for.
    #[cfg(not(any(test, feature = "hosted")))]
    pub(crate) devices: spin::Mutex<Option<alloc::vec::Vec<reflex_virtio_bus::Device>>>,
    /// The devices of a simulated machine.
    #[cfg(feature = "hosted")]
    pub devices: crate::hosted::Devices,
}

impl Machine {
    /// The identifier of the processor that `main` runs on, as interrupts of devices are told it.
    #[cfg(not(any(test, feature = "hosted")))]
    pub(crate) fn destination(&self) -> u8 {
        self.processors.first().map_or(0, |id| *id as u8)
    }
}
