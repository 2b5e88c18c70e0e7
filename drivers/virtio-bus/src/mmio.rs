//! virtio over MMIO (4.2), modern layout only: what QEMU's microvm machine has.
//!
//! Slots are where the machine puts them ([`microvm_slots`]) or where the command line says
//! ([`command_line_slots`]); [`probe`] looks whether a device is in one.

mod transport;

pub use transport::{MmioInterrupt, MmioTransport};

use crate::{Device, DeviceTransport, Error};
use reflex_hil::Interrupt;
use reflex_pci::Registers;
use virtio_drivers::Hal;
use virtio_drivers::transport::DeviceType;

/// A place where a device may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Physical address of its registers.
    pub address: u64,
    /// Their length in bytes, with the device's configuration.
    pub length: u64,
    /// Its interrupt, counted over all IO-APICs.
    pub gsi: u32,
}

/// Byte offsets of the registers that say what is in a slot (4.2.2).
const MAGIC: usize = 0x000;
const VERSION: usize = 0x004;
const DEVICE_ID: usize = 0x008;
/// "virt", little-endian.
const MAGIC_VALUE: u32 = 0x7472_6976;
/// Where the device's configuration begins.
const CONFIGURATION: u64 = 0x100;
/// A slot's length on microvm.
const SLOT_LENGTH: u64 = 0x200;

/// The 24 slots of the microvm machine with ACPI on; slot *n* interrupts on pin *n* of the second
/// IO-APIC, which begins with global system interrupt 24 (QEMU `include/hw/i386/microvm.h`).
pub fn microvm_slots() -> impl Iterator<Item = Slot> {
    (0..24).map(|n| Slot {
        address: 0xfeb0_0000 + u64::from(n) * SLOT_LENGTH,
        length: SLOT_LENGTH,
        gsi: 24 + n,
    })
}

/// The slots that the values of `virtio_mmio.device` name, each `SIZE@ADDRESS:INTERRUPT`; QEMU appends
/// them to the kernel command line when ACPI is off. Numbers are decimal or `0x` hexadecimal, the size
/// may end in K.
pub fn command_line_slots<'a>(
    values: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = Result<Slot, Error>> {
    values.map(|value| slot(value).ok_or(Error::BadSlotWord))
}

/// Reads `SIZE@ADDRESS:INTERRUPT`, with an id behind it that is of no interest.
fn slot(value: &str) -> Option<Slot> {
    let (length, place) = value.split_once('@')?;
    let mut place = place.splitn(3, ':');
    let (address, gsi) = (number(place.next()?)?, number(place.next()?)?);
    let length = match length.strip_suffix(['K', 'k']) {
        Some(kilobytes) => number(kilobytes)?.checked_mul(1024)?,
        None => number(length)?,
    };
    let sound = (CONFIGURATION..=0x1_0000).contains(&length)
        && address.is_multiple_of(4)
        && address.checked_add(length).is_some();
    sound.then_some(Slot { address, length, gsi: gsi.try_into().ok()? })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The device in `slot`, if there is one.
///
/// # Errors
/// [`Error::LegacyMmio`], [`Error::UnknownMmioVersion`], [`Error::UnknownDevice`].
///
/// # Safety
/// The slot's address is one where a virtio device may be (nothing else is disturbed by reading
/// there), `H` maps it, and no driver has the device yet.
pub unsafe fn probe<H: Hal>(slot: Slot) -> Result<Option<Device>, Error> {
    let length = slot.length as usize;
    // SAFETY: where a virtio device's registers may be, which nobody else uses, says the caller;
    // what `H` maps stays mapped.
    let registers = unsafe { Registers::new(H::mmio_phys_to_virt(slot.address, length), length) };
    if registers.length() < CONFIGURATION as usize || registers.read32(MAGIC) != MAGIC_VALUE {
        return Ok(None);
    }
    // A slot without a device has the id 0, whatever its version (4.2.2.2).
    let id = registers.read32(DEVICE_ID);
    if id == 0 {
        return Ok(None);
    }
    match registers.read32(VERSION) {
        1 => return Err(Error::LegacyMmio),
        2 => {}
        _ => return Err(Error::UnknownMmioVersion),
    }
    let kind = DeviceType::try_from(id).map_err(|_| Error::UnknownDevice)?;
    let transport = DeviceTransport::Mmio(MmioTransport::new(kind, registers)?);
    Ok(Some(Device { kind, interrupt: Interrupt::Wired { gsi: slot.gsi }, transport }))
}

#[cfg(test)]
mod tests;
