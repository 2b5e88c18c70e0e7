//! The PVH start info: what the boot loader hands over (Xen's `arch-x86/hvm/start_info.h`).
//!
//! It lies in memory that its own map calls usable, so all of it is copied out before anything
//! is allocated.

use core::fmt;
use core::ops::Range;

/// The most memory ranges that are kept; machines have about ten.
pub(crate) const MOST_RANGES: usize = 64;
/// The longest command line, in bytes.
pub(crate) const LONGEST_COMMAND_LINE: usize = 2047;

const MAGIC: u32 = 0x336e_c578;
const USABLE: u32 = 1;

/// What the boot loader handed over, copied out.
#[derive(Clone, Debug)]
pub(crate) struct StartInfo {
    ranges: [MemoryRange; MOST_RANGES],
    range_count: usize,
    command_line: [u8; LONGEST_COMMAND_LINE],
    command_line_length: usize,
    /// Where ACPI's root pointer is.
    pub(crate) rsdp: Option<u64>,
    /// Where all of this was: the info itself, the command line and the memory map.
    own: [Range<u64>; 3],
}

/// An entry of the memory map: in no order, possibly empty, possibly overlapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryRange {
    pub(crate) addresses: Range<u64>,
    pub(crate) usable: bool,
}

/// Why a start info was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Error {
    /// It cannot be read where it is said to be, or its parts cannot.
    Unreadable,
    /// It does not begin with the magic number.
    BadMagic,
    /// It is of version 0, without a memory map.
    NoMemoryMap,
    /// The memory map has more ranges than can be kept.
    TooManyRanges,
    /// The command line is longer than can be kept.
    CommandLineTooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the PVH start info cannot be read",
            Self::BadMagic => "the PVH start info has the wrong magic number",
            Self::NoMemoryMap => "the PVH start info has no memory map",
            Self::TooManyRanges => "the PVH memory map has too many ranges",
            Self::CommandLineTooLong => "the command line is longer than 2047 bytes",
        })
    }
}

impl core::error::Error for Error {}

impl StartInfo {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            ranges: [const { MemoryRange { addresses: 0..0, usable: false } }; MOST_RANGES],
            range_count: 0,
            command_line: [0; LONGEST_COMMAND_LINE],
            command_line_length: 0,
            rsdp: None,
            own: [const { 0..0 }; 3],
        }
    }

    /// Copies what is at `address` out of `memory`, which gives the bytes at a physical
    /// address if they can be read.
    pub(crate) fn read<'a>(
        &mut self,
        address: u64,
        memory: impl Fn(u64, usize) -> Option<&'a [u8]>,
    ) -> Result<(), Error> {
        const BYTES: usize = 52;
        const ENTRY_BYTES: usize = 24;
        let info = memory(address, BYTES).ok_or(Error::Unreadable)?;
        if u32_at(info, 0) != MAGIC {
            return Err(Error::BadMagic);
        }
        if u32_at(info, 4) == 0 {
            return Err(Error::NoMemoryMap);
        }
        self.rsdp = Some(u64_at(info, 32)).filter(|rsdp| *rsdp != 0);
        let (line, map) = (u64_at(info, 24), u64_at(info, 40));
        self.read_command_line(line, &memory)?;
        let line_bytes = self.command_line_length + 1;

        self.range_count = u32_at(info, 48) as usize;
        let ranges = self.ranges.get_mut(..self.range_count).ok_or(Error::TooManyRanges)?;
        let length = ranges.len() * ENTRY_BYTES;
        self.own = [(address, BYTES), (line, line_bytes), (map, length)]
            .map(|(start, length)| start..start.saturating_add(length as u64));
        let map = memory(map, length).ok_or(Error::Unreadable)?;
        for (range, entry) in ranges.iter_mut().zip(map.chunks_exact(ENTRY_BYTES)) {
            let start = u64_at(entry, 0);
            *range = MemoryRange {
                addresses: start..start.saturating_add(u64_at(entry, 8)),
                usable: u32_at(entry, 16) == USABLE,
            };
        }
        Ok(())
    }

    /// The memory map's entries.
    pub(crate) fn ranges(&self) -> &[MemoryRange] {
        &self.ranges[..self.range_count.min(MOST_RANGES)]
    }

    /// Where the boot loader left what has been copied out.
    pub(crate) fn own(&self) -> &[Range<u64>] {
        &self.own
    }

    /// The command line, without its terminating zero.
    pub(crate) fn command_line(&self) -> &[u8] {
        &self.command_line[..self.command_line_length]
    }

    fn read_command_line<'a>(
        &mut self,
        address: u64,
        memory: &impl Fn(u64, usize) -> Option<&'a [u8]>,
    ) -> Result<(), Error> {
        self.command_line_length = 0;
        if address == 0 {
            return Ok(());
        }
        for offset in 0..=LONGEST_COMMAND_LINE {
            let byte = address.checked_add(offset as u64).and_then(|address| memory(address, 1));
            match byte {
                Some([0]) => return Ok(()),
                Some([byte]) => {
                    *self.command_line.get_mut(offset).ok_or(Error::CommandLineTooLong)? = *byte;
                    self.command_line_length = offset + 1;
                }
                _ => return Err(Error::Unreadable),
            }
        }
        Err(Error::CommandLineTooLong)
    }
}

/// The field at `offset`, which is within `bytes` as all callers' are of known length.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

/// See [`u32_at`].
fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests;
