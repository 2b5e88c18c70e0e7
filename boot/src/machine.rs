//! The machine, as the library OS finds it.

use crate::CommandLine;
use reflex_arch::acpi::Facts;
use reflex_arch::port::Port;

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
}

impl Machine {
    /// Whether PCI configuration space can be reached by ports: a host bridge answers there.
    pub(crate) fn has_pci_ports(&self) -> bool {
        const ADDRESS: u16 = 0xcf8;
        const DATA: u16 = 0xcfc;
        const ENABLE: u32 = 1 << 31;
        // SAFETY: no machine has anything but PCI configuration space at these ports, and nobody
        // else uses them at this time.
        unsafe {
            Port::<u32>::new(ADDRESS).write(ENABLE);
            Port::<u32>::new(ADDRESS).read() == ENABLE && Port::<u32>::new(DATA).read() != u32::MAX
        }
    }
}
