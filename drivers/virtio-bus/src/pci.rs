//! virtio over PCI (4.1), modern and with MSI-X only.
//!
//! [`discover`] walks the buses, gives addresses to BARs that firmware left without (qboot,
//! microvm), and checks each virtio device's capabilities before it maps what they point to.
//! BARs that have an address are used where they are.

mod transport;

pub use transport::PciTransport;

use crate::capability::{Capabilities, Location};
use crate::msix::MsixTable;
use crate::{Device, DeviceTransport, Error};
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};
use reflex_hil::Interrupt;
use reflex_pci::{
    Bars, Registers, Window, functions, functions_of_all_roots, header_type, identity,
    secondary_bus,
};
use virtio_drivers::Hal;
use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::pci::VIRTIO_VENDOR_ID;
use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess, DeviceFunction, PciRoot};

/// The MSI-X control bits: all enabled, and all masked whatever the entries say.
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_MASK_ALL: u32 = 1 << 30;

/// A virtio function and what became of it; or a bridge behind which there may be some.
pub struct Found {
    /// Bus, device and function.
    pub function: DeviceFunction,
    /// The device, or why it cannot be used.
    pub device: Result<Device, Error>,
}

/// Finds all virtio devices on `buses`, starting on the first of them and following the bridges
/// firmware has numbered; on other root buses too, if there is another host bridge or no such
/// device. BARs without an address get one from `window`, which must be free but
/// for devices' BARs; it may be empty.
///
/// # Safety
/// `access` reaches the machine's own configuration space, no driver has any of the devices yet,
/// and `H` maps what their BARs name.
pub unsafe fn discover<H: Hal, C: ConfigurationAccess + Copy>(
    access: C,
    buses: RangeInclusive<u8>,
    window: Range<u64>,
) -> Vec<Found> {
    let mut root = PciRoot::new(access);
    let mut window = Window::new(window);
    let Survey { virtio, others, unnumbered, behind_bridges } = Survey::new(&access, buses);
    let virtio = virtio.into_iter().map(|function| {
        let id = identity(&access, function).device;
        (function, id, Bars::read(&mut root, function))
    });
    let virtio: Vec<_> = virtio.collect();
    // What is assigned must be known before anything is given away, and only then: asking takes
    // time.
    let found = || virtio.iter().filter_map(|(_, _, bars)| bars.as_ref().ok());
    if found().any(Bars::any_unassigned) {
        found().flat_map(Bars::assigned).for_each(|range| window.avoid(range));
        for bars in others.into_iter().filter_map(|other| Bars::read(&mut root, other).ok()) {
            bars.assigned().for_each(|range| window.avoid(range));
        }
    }
    virtio
        .into_iter()
        .map(|(function, id, bars)| {
            let device = bars.map_err(Error::from).and_then(|mut bars| {
                let kind = device_type(id)?;
                let is_mapped = |place: &Location| locate(&bars, place).is_ok();
                let word = |at| access.read_word(function, at);
                let capabilities = Capabilities::read(word, is_mapped)?;
                if bars.any_unassigned() && behind_bridges[usize::from(function.bus)] {
                    // A bridge forwards what firmware has told it to, and that is nothing then.
                    return Err(Error::ClosedBridge);
                }
                bars.assign(&mut root, function, &mut window)?;
                // SAFETY: `access` reaches the machine's own space, no driver has the function yet,
                // and `H` maps its BARs, says the caller; each function is connected once here.
                unsafe { connect::<H, C>(access, &mut root, function, kind, &bars, &capabilities) }
            });
            Found { function, device }
        })
        .chain(unnumbered.into_iter().map(|function| {
            let device = Err(Error::UnnumberedBridge);
            Found { function, device }
        }))
        .collect()
}

/// The functions there are, by what they mean here.
struct Survey {
    virtio: Vec<DeviceFunction>,
    /// All other endpoints.
    others: Vec<DeviceFunction>,
    /// Bridges that firmware has given no bus.
    unnumbered: Vec<DeviceFunction>,
    /// The buses that are behind bridges.
    behind_bridges: [bool; 256],
}

impl Survey {
    fn new<C: ConfigurationAccess>(access: &C, buses: RangeInclusive<u8>) -> Self {
        let survey = Self::of(access, functions(access, buses.clone()));
        if survey.virtio.is_empty() {
            // They may be on a root bus of their own that nothing tells of but its devices.
            return Self::of(access, functions_of_all_roots(access, buses));
        }
        survey
    }

    fn of<C: ConfigurationAccess>(access: &C, functions: Vec<DeviceFunction>) -> Self {
        let (virtio, others, unnumbered) = (Vec::new(), Vec::new(), Vec::new());
        let mut survey = Self { virtio, others, unnumbered, behind_bridges: [false; 256] };
        for function in functions {
            match header_type(access, function) {
                0 if identity(access, function).vendor == VIRTIO_VENDOR_ID => {
                    survey.virtio.push(function);
                }
                0 => survey.others.push(function),
                1 => match secondary_bus(access, function) {
                    0 => survey.unnumbered.push(function),
                    bus => survey.behind_bridges[usize::from(bus)] = true,
                },
                _ => {}
            }
        }
        survey
    }
}

/// What a PCI device id stands for: 0x1040 and the virtio type, or a transitional id (4.1.2).
fn device_type(id: u16) -> Result<DeviceType, Error> {
    let kind = match id {
        0x1000 => 1,
        0x1001 => 2,
        0x1002 => 5,
        0x1003 => 3,
        0x1004 => 8,
        0x1005 => 4,
        0x1009 => 9,
        id => id.checked_sub(0x1040).ok_or(Error::UnknownDevice)?,
    };
    DeviceType::try_from(u32::from(kind)).map_err(|_| Error::UnknownDevice)
}

/// Switches the function on, with its messages routed nowhere, and maps its structures.
///
/// # Safety
/// As [`discover`].
unsafe fn connect<H: Hal, C: ConfigurationAccess + Copy>(
    mut access: C,
    root: &mut PciRoot<C>,
    function: DeviceFunction,
    kind: DeviceType,
    bars: &Bars,
    capabilities: &Capabilities,
) -> Result<Device, Error> {
    let msix = capabilities.msix.ok_or(Error::NoMsix)?;
    let map = |place: &Location| -> Result<Registers, Error> {
        let address = locate(bars, place)?;
        let length = place.length as usize;
        // SAFETY: within a BAR of the device, which `discover`'s caller says `H` can map. A
        // mapping is for good.
        Ok(unsafe { Registers::new(H::mmio_phys_to_virt(address, length), length) })
    };
    // All places are checked before the device is touched.
    locate(bars, &msix.table)?;
    root.set_command(
        function,
        Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE,
    );
    let structures = transport::PciStructures {
        common: map(&capabilities.common)?,
        notify: map(&capabilities.notify)?,
        notify_multiplier: capabilities.notify_multiplier,
        isr: map(&capabilities.isr)?,
        device: capabilities.device.as_ref().map(map).transpose()?,
    };
    let control = access.read_word(function, msix.capability);
    access.write_word(function, msix.capability, control | MSIX_ENABLE | MSIX_MASK_ALL);
    let table = MsixTable::new(map(&msix.table)?);
    access.write_word(function, msix.capability, control & !MSIX_MASK_ALL | MSIX_ENABLE);
    let transport = DeviceTransport::Pci(PciTransport::new(kind, structures, table));
    Ok(Device { kind, interrupt: Interrupt::Messages { vectors: msix.vectors }, transport })
}

/// The physical address of a structure, when it lies in its BAR.
fn locate(bars: &Bars, place: &Location) -> Result<u64, Error> {
    Ok(bars.locate(place.bar, place.offset.into(), place.length.into())?)
}

#[cfg(test)]
mod tests;
