//! What the firmware tells of the machine: interrupt controllers, PCI configuration space, the
//! power-management timer and how to turn the machine off.
//!
//! Tables are untrusted: every read is checked, and what does not add up is an error. Nothing
//! here touches the machine; memory is read through a function of the caller's.

mod button;
mod fadt;
mod madt;
mod mcfg;
mod table;

pub use button::PowerButton;
pub use fadt::{Register, SleepControl};
pub use madt::{Controller, Interrupt, Madt};
pub use mcfg::ConfigurationSpace;

use crate::Error;
use fadt::Fadt;
pub(super) use table::Bytes;
use table::Header;

/// Everything this kernel wants to know, copied out of the firmware's memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Interrupt controllers and processors.
    pub madt: Madt,
    /// The memory-mapped configuration space of PCI segment 0.
    pub configuration_space: Option<ConfigurationSpace>,
    /// The port of the power-management timer.
    pub pm_timer: Option<u16>,
    /// How to enter S5.
    pub sleep: Option<SleepControl>,
    /// Where the power button is.
    pub power_button: Option<PowerButton>,
    /// Whether there is a keyboard controller at its usual ports: so says the firmware, or it is too old to say.
    pub keyboard: bool,
}

/// Reads what the tables say, beginning from the root pointer at `root`. `memory` gives the
/// bytes at a physical address, or `None` when they cannot be read.
///
/// # Errors
/// [`Error::BadSignature`], [`Error::BadChecksum`], [`Error::TableTruncated`],
/// [`Error::TooMany`]: no table is believed then.
pub fn read<'a>(
    root: u64,
    memory: impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let (table, entry_bytes) = root_table(root, &memory)?;
    let mut fadt = None;
    for entry in table.0[Header::BYTES..].chunks_exact(entry_bytes) {
        let mut address = [0; 8];
        address[..entry_bytes].copy_from_slice(entry);
        let address = u64::from_le_bytes(address);
        let signature = table::signature(address, &memory)?;
        match &signature {
            b"APIC" => facts.madt = Madt::parse(table::read(address, &signature, &memory)?)?,
            b"MCFG" => {
                facts.configuration_space =
                    mcfg::parse(table::read(address, &signature, &memory)?)?;
            }
            b"FACP" => fadt = Some(Fadt::parse(table::read(address, &signature, &memory)?)?),
            _ => {}
        }
    }
    if let Some(fadt) = fadt {
        facts.pm_timer = fadt.pm_timer;
        facts.keyboard = fadt.keyboard;
        let dsdt = table::read(fadt.dsdt, b"DSDT", &memory)?;
        facts.sleep = fadt.sleep(dsdt);
        facts.power_button = fadt.power_button.or_else(|| button::generic(dsdt.0));
    }
    Ok(facts)
}

/// The root table and the bytes of its entries: the XSDT's eight, or the RSDT's four.
fn root_table<'a>(
    root: u64,
    memory: &impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<(Bytes<'a>, usize), Error> {
    const VERSION_1_BYTES: usize = 20;
    const VERSION_2_BYTES: usize = 36;
    let pointer = Bytes(memory(root, VERSION_1_BYTES).ok_or(Error::TableTruncated)?);
    if pointer.0.get(..8) != Some(b"RSD PTR ") {
        return Err(Error::BadSignature);
    }
    pointer.check_sum()?;
    if pointer.u8(15)? >= 2 {
        let pointer = Bytes(memory(root, VERSION_2_BYTES).ok_or(Error::TableTruncated)?);
        pointer.check_sum()?;
        let address = pointer.u64(24)?;
        if address != 0 {
            return Ok((table::read(address, b"XSDT", memory)?, 8));
        }
    }
    Ok((table::read(u64::from(pointer.u32(16)?), b"RSDT", memory)?, 4))
}

#[cfg(test)]
mod tests;
