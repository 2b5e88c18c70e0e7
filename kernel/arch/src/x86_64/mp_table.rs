//! The table of processors on machines without ACPI (Intel MultiProcessor Specification 1.4, chapter 4).
//!
//! It is untrusted like every table of the firmware's. The count of its entries is not looked at: QEMU's
//! qboot leaves it 0. How long the table is says where it ends.

use super::acpi::Bytes;
use super::processors::Processors;
use crate::Error;

/// Bytes of the pointer that the firmware leaves at a multiple of as many.
const POINTER_BYTES: usize = 16;
/// Bytes of the table before its first entry.
const HEADER_BYTES: usize = 44;
/// Where the real-mode segment of the extended BIOS data area is told.
const EXTENDED_DATA: u64 = 0x40e;
/// Where the pointer may be: at the start of the extended BIOS data area, which is looked up, at the end of
/// 640 KiB, or in the BIOS (section 4.1).
const LAST_KIB: (u64, usize) = (0x9_fc00, 1 << 10);
const BIOS: (u64, usize) = (0xf_0000, 64 << 10);

/// The processors that the table names, or `None` when there is no table. `memory` gives the bytes at a
/// physical address, or `None` when they cannot be read.
///
/// # Errors
/// [`Error::BadSignature`], [`Error::BadChecksum`], [`Error::TableTruncated`].
pub fn read<'a>(
    memory: impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<Option<Processors>, Error> {
    let extended = memory(EXTENDED_DATA, 2).and_then(|bytes| Bytes(bytes).u16(0).ok());
    let extended = extended.filter(|segment| *segment != 0);
    let extended = extended.map(|segment| (u64::from(segment) << 4, 1 << 10));
    let mut areas = extended.into_iter().chain([LAST_KIB, BIOS]);
    match areas.find_map(|(address, length)| pointer(memory(address, length)?)) {
        Some(address) => table(address, &memory).map(Some),
        None => Ok(None),
    }
}

/// The table's address, from the pointer in `area`, if it is there.
fn pointer(area: &[u8]) -> Option<u64> {
    area.chunks_exact(POINTER_BYTES).map(Bytes).find_map(|pointer| {
        let found = pointer.0.starts_with(b"_MP_") && pointer.check_sum().is_ok();
        let address = pointer.u32(4).ok().filter(|address| found && *address != 0)?;
        Some(u64::from(address))
    })
}

fn table<'a>(
    address: u64,
    memory: &impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<Processors, Error> {
    let header = Bytes(memory(address, HEADER_BYTES).ok_or(Error::TableTruncated)?);
    if !header.0.starts_with(b"PCMP") {
        return Err(Error::BadSignature);
    }
    let length = usize::from(header.u16(4)?);
    let table = Bytes(memory(address, length).ok_or(Error::TableTruncated)?);
    table.check_sum()?;
    let mut processors = Processors::NONE;
    let mut rest = table.after(HEADER_BYTES);
    while let [kind, ..] = *rest {
        const PROCESSOR: u8 = 0;
        const ENABLED: u8 = 1;
        let bytes = if kind == PROCESSOR { 20 } else { 8 };
        let (entry, behind) = rest.split_at_checked(bytes).ok_or(Error::TableTruncated)?;
        let entry = Bytes(entry);
        if kind == PROCESSOR && entry.u8(3)? & ENABLED != 0 {
            processors.add(u32::from(entry.u8(1)?));
        }
        rest = behind;
    }
    Ok(processors)
}

#[cfg(test)]
mod tests;
