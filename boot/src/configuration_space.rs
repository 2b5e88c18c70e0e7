//! Where PCI's configuration space is, and what addresses devices may be given.

use crate::identity::Identity;
use crate::machine::Machine;
use core::ops::{Range, RangeInclusive};
use core::sync::atomic::AtomicBool;
use reflex_arch::acpi::SleepControl;
use reflex_pci::{Access, Ecam, Ports};
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

/// Where BARs go that the firmware has left without an address: below the interrupt controllers,
/// above what QEMU's machines use for memory.
pub(crate) const BAR_WINDOW: Range<u64> = 0xc000_0000..0xd000_0000;

/// Where a microvm with `pcie=on` has its configuration space, which it tells in AML alone (`_CBA`).
const MICROVM: u64 = 0xe000_0000;

/// The machine's configuration space and its buses, if it has PCI.
pub(crate) fn find(machine: &Machine) -> Option<(Access, RangeInclusive<u8>)> {
    let told = machine.firmware.and_then(|firmware| firmware.configuration_space);
    let told = told.map(|space| (space.base, space.first_bus..=space.last_bus));
    let Some((base, buses)) = told.or_else(|| is_microvm(machine).then_some((MICROVM, 0..=255)))
    else {
        return ports().map(|ports| (Access::Ports(ports), 0..=255));
    };
    // SAFETY: the firmware says that it is there; or the machine is one that has nothing else there,
    // and if not even that, all reads say so.
    let ecam = unsafe { Ecam::map::<Identity>(base, buses.clone()) };
    let host = DeviceFunction { bus: *buses.start(), device: 0, function: 0 };
    // A microvm without PCI has no ports to it either.
    (base != MICROVM || ecam.read_word(host, 0) != u32::MAX).then_some((Access::Ecam(ecam), buses))
}

/// Whether this is QEMU's microvm with ACPI: hardware-reduced, and with a second IO-APIC of its devices
/// from global interrupt 24 on (QEMU `include/hw/i386/microvm.h`).
pub(crate) fn is_microvm(machine: &Machine) -> bool {
    machine.firmware.is_some_and(|firmware| {
        let reduced = matches!(firmware.sleep, Some(SleepControl::Reduced { .. }));
        reduced && firmware.madt.controllers().iter().any(|it| it.first == 24)
    })
}

/// The ports to configuration space, if they are there.
fn ports() -> Option<Ports> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // SAFETY: no machine has anything but PCI configuration space at these ports, and this is the only place from
    // where they are reached. Interrupts' handlers do not use them.
    unsafe { Ports::find(&TAKEN) }
}
