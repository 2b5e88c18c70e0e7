//! The functions there are, and one of them made ready for its driver.

use crate::{Bars, Configuration, Error, Registers, Window};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};
use virtio_drivers::Hal;
use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess, DeviceFunction, PciRoot};

/// Byte offsets in the configuration space's header.
const IDENTITY: u8 = 0x00;
const HEADER_TYPE: u8 = 0x0c;
const BUS_NUMBERS: u8 = 0x18;
/// What reads where no device is.
const NOBODY: u32 = u32::MAX;

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
/// firmware has numbered.
pub fn functions<C: ConfigurationAccess>(
    access: &C,
    buses: RangeInclusive<u8>,
) -> Vec<DeviceFunction> {
    let mut found = Vec::new();
    let mut seen = [false; 256];
    let mut waiting = vec![*buses.start()];
    // Each bus is walked once, whatever numbers the bridges show.
    while let Some(bus) = waiting.pop() {
        if !buses.contains(&bus) || core::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            for function in 0..8 {
                let function = DeviceFunction { bus, device, function };
                if access.read_word(function, IDENTITY) == NOBODY {
                    if function.function == 0 {
                        break;
                    }
                    continue;
                }
                found.push(function);
                if header_type(access, function) == 1 {
                    waiting.push((access.read_word(function, BUS_NUMBERS) >> 8) as u8);
                }
                let multifunction = access.read_word(function, HEADER_TYPE) & 1 << 23 != 0;
                if function.function == 0 && !multifunction {
                    break;
                }
            }
        }
    }
    found
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
