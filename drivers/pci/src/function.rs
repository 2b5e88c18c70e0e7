//! The functions there are, and one of them made ready for its driver.

use crate::{Bars, Configuration, Error, Registers, Window};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};
use virtio_drivers::Hal;
use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess, DeviceFunction, PciRoot};

/// Byte offsets in the configuration space's header.
const IDENTITY: u8 = 0x00;
const CLASS: u8 = 0x08;
const HEADER_TYPE: u8 = 0x0c;
const BUS_NUMBERS: u8 = 0x18;
/// What reads where no device is.
const NOBODY: u32 = u32::MAX;
/// The class of host bridges, in the upper half of its double word.
const HOST_BRIDGE: u32 = 0x0600;

/// A device's vendor, and which of the vendor's devices it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The vendor.
    pub vendor: u16,
    /// The vendor's number for the device.
    pub device: u16,
}

/// A function that decodes its memory BARs, all of which have addresses.
pub struct Function<C> {
    access: C,
    function: DeviceFunction,
    bars: Bars,
}

/// The first function with an identity, if there is one, its memory BARs with addresses, those it lacked
/// from `window`; see [`functions`] for where it is looked for.
///
/// # Errors
/// [`Error::BadBar`], [`Error::WindowFull`].
pub fn open<C: Configuration + Copy>(
    access: C,
    buses: RangeInclusive<u8>,
    window: Range<u64>,
    wanted: Identity,
) -> Result<Option<Function<C>>, Error> {
    let all = functions(&access, buses);
    let found = |function: &&_| {
        header_type(&access, **function) == 0 && identity(&access, **function) == wanted
    };
    let Some(&function) = all.iter().find(found) else { return Ok(None) };
    let mut root = PciRoot::new(access);
    let mut bars = Bars::read(&mut root, function)?;
    if bars.any_unassigned() {
        let mut window = Window::new(window);
        let endpoints = all.iter().filter(|other| header_type(&access, **other) == 0);
        for other in endpoints.filter_map(|other| Bars::read(&mut root, *other).ok()) {
            other.assigned().for_each(|range| window.avoid(range));
        }
        bars.assign(&mut root, function, &mut window)?;
    }
    let (_, command) = root.get_status_command(function);
    root.set_command(function, command | Command::MEMORY_SPACE | Command::INTERRUPT_DISABLE);
    Ok(Some(Function { access, function, bars }))
}

impl<C: Configuration> Function<C> {
    /// Bus, device and function.
    pub fn place(&self) -> DeviceFunction {
        self.function
    }

    /// The first `length` bytes of a memory BAR, mapped for good.
    ///
    /// # Errors
    /// [`Error::BadBar`], [`Error::OutsideBar`].
    ///
    /// # Safety
    /// `H` maps what the function's BARs name, and no other driver has the function.
    pub unsafe fn registers<H: Hal>(&self, bar: u8, length: usize) -> Result<Registers, Error> {
        let address = self.bars.locate(bar, 0, length as u64)?;
        // SAFETY: within a BAR of the function, which decodes it, and which the caller says `H` maps;
        // nobody else uses them. A mapping is for good.
        Ok(unsafe { Registers::new(H::mmio_phys_to_virt(address, length), length) })
    }

    /// Writes a byte of its configuration space, and no other.
    pub fn write_byte(&mut self, offset: u8, value: u8) {
        self.access.write_byte(self.function, offset, value);
    }

    /// Writes two bytes of its configuration space, at an even offset, and no other.
    pub fn write_half(&mut self, offset: u8, value: u16) {
        self.access.write_half(self.function, offset, value);
    }
}

/// All functions that exist on `buses`, bus by bus, from the first of them and by the bridges that
/// firmware has numbered. Where there is another host bridge on the way, as QEMU's expander bridges
/// have one, all root buses are looked for.
pub fn functions<C: ConfigurationAccess>(
    access: &C,
    buses: RangeInclusive<u8>,
) -> Vec<DeviceFunction> {
    let mut walk = Walk::new(access, buses);
    walk.walk(*walk.buses.start());
    let is_host = |function: &&_| access.read_word(**function, CLASS) >> 16 == HOST_BRIDGE;
    if walk.found.iter().filter(is_host).count() > 1 {
        walk.other_roots();
    }
    walk.found
}

/// As [`functions`], from every bus that has a device: it is a root bus if no bridge leads there. This
/// takes thousands of reads.
pub fn functions_of_all_roots<C: ConfigurationAccess>(
    access: &C,
    buses: RangeInclusive<u8>,
) -> Vec<DeviceFunction> {
    let mut walk = Walk::new(access, buses);
    walk.walk(*walk.buses.start());
    walk.other_roots();
    walk.found
}

struct Walk<'a, C> {
    access: &'a C,
    buses: RangeInclusive<u8>,
    /// Each bus is walked once, whatever numbers the bridges show.
    seen: [bool; 256],
    found: Vec<DeviceFunction>,
}

impl<'a, C: ConfigurationAccess> Walk<'a, C> {
    fn new(access: &'a C, buses: RangeInclusive<u8>) -> Self {
        Self { access, buses, seen: [false; 256], found: Vec::new() }
    }

    /// From a bus on, by its bridges.
    fn walk(&mut self, bus: u8) {
        let mut waiting = vec![bus];
        while let Some(bus) = waiting.pop() {
            let seen = &mut self.seen[usize::from(bus)];
            if self.buses.contains(&bus) && !core::mem::replace(seen, true) {
                (0..32).for_each(|device| self.device(bus, device, &mut waiting));
            }
        }
    }

    /// From all buses that have not been seen, the lower numbers first: behind a root bus are higher
    /// ones.
    fn other_roots(&mut self) {
        for bus in self.buses.clone() {
            self.walk(bus);
        }
    }

    fn device(&mut self, bus: u8, device: u8, waiting: &mut Vec<u8>) {
        for function in 0..8 {
            let function = DeviceFunction { bus, device, function };
            if self.access.read_word(function, IDENTITY) == NOBODY {
                if function.function == 0 {
                    return;
                }
                continue;
            }
            self.found.push(function);
            if header_type(self.access, function) == 1 {
                waiting.push(secondary_bus(self.access, function));
            }
            let multifunction = self.access.read_word(function, HEADER_TYPE) & 1 << 23 != 0;
            if function.function == 0 && !multifunction {
                return;
            }
        }
    }
}

/// The number of the bus behind a bridge; 0 when firmware has given it none.
pub fn secondary_bus<C: ConfigurationAccess>(access: &C, bridge: DeviceFunction) -> u8 {
    (access.read_word(bridge, BUS_NUMBERS) >> 8) as u8
}

/// The identity of a function's device.
pub fn identity<C: ConfigurationAccess>(access: &C, function: DeviceFunction) -> Identity {
    let identity = access.read_word(function, IDENTITY);
    Identity { vendor: identity as u16, device: (identity >> 16) as u16 }
}

/// 0 for an endpoint, 1 for a bridge.
pub fn header_type<C: ConfigurationAccess>(access: &C, function: DeviceFunction) -> u8 {
    (access.read_word(function, HEADER_TYPE) >> 16) as u8 & 0x7f
}
