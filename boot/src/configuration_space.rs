//! Where PCI's configuration space is, and what addresses devices may be given.

use crate::identity::Identity;
use crate::machine::Machine;
use core::ops::{Range, RangeInclusive};
use reflex_arch::port::Port;
use reflex_pci::{Access, Ecam, Ports};

/// Where BARs go that the firmware has left without an address: below the interrupt controllers,
/// above what QEMU's machines use for memory.
pub(crate) const BAR_WINDOW: Range<u64> = 0xc000_0000..0xd000_0000;

/// The machine's configuration space and its buses, if it has PCI.
pub(crate) fn find(machine: &Machine) -> Option<(Access, RangeInclusive<u8>)> {
    if let Some(space) = machine.firmware.and_then(|firmware| firmware.configuration_space) {
        let buses = space.first_bus..=space.last_bus;
        // SAFETY: the firmware says that it is there.
        let ecam = unsafe { Ecam::map::<Identity>(space.base, buses.clone()) };
        return Some((Access::Ecam(ecam), buses));
    }
    ports().map(|ports| (Access::Ports(ports), 0..=255))
}

/// The ports to configuration space: a host bridge answers there.
fn ports() -> Option<Ports> {
    const ADDRESS: u16 = 0xcf8;
    const DATA: u16 = 0xcfc;
    const ENABLE: u32 = 1 << 31;
    // SAFETY: no machine has anything but PCI configuration space at these ports. Interrupts' handlers
    // do not use them, and what looks for devices does so at start-up or in `main`, one at a time.
    unsafe {
        Port::<u32>::new(ADDRESS).write(ENABLE);
        let there = Port::<u32>::new(ADDRESS).read() == ENABLE;
        (there && Port::<u32>::new(DATA).read() != u32::MAX).then(|| Ports::new())
    }
}
