//! What the boot loader hands over: by PVH its start info (Xen's `arch-x86/hvm/start_info.h`), by Multiboot2 its
//! [boot information](multiboot). The first word says which of both it is.
//!
//! It lies in memory that its own map calls usable, so all of it is copied out before anything
//! is allocated. The modules, which may be long, are told of by their places.

mod multiboot;

use core::fmt;
use core::ops::Range;

/// The most memory ranges that are kept; machines have about ten.
pub(crate) const MOST_RANGES: usize = 64;
/// The longest command line, in bytes.
pub(crate) const LONGEST_COMMAND_LINE: usize = 2047;
/// The most modules that are looked at.
pub(crate) const MOST_MODULES: usize = 8;

/// The bytes at a physical address, if they can be read.
pub(crate) trait PhysicalMemory<'a>: Fn(u64, usize) -> Option<&'a [u8]> {}

impl<'a, F: Fn(u64, usize) -> Option<&'a [u8]>> PhysicalMemory<'a> for F {}

const MAGIC: u32 = 0x336e_c578;
/// The type of usable memory, of both protocols.
const USABLE: u32 = 1;
const PVH_ENTRY_BYTES: usize = 24;

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
    modules: [Module; MOST_MODULES],
    module_count: usize,
}

/// A file that the boot loader has put into memory beside the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) address: u64,
    pub(crate) length: u64,
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
    /// It is of no protocol that is known.
    UnknownProtocol,
    /// It has no memory map, as PVH's of version 0.
    NoMemoryMap,
    /// The memory map has more ranges than can be kept.
    TooManyRanges,
    /// The command line is longer than can be kept.
    CommandLineTooLong,
    /// There are more modules than are looked at.
    TooManyModules,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the boot loader's information cannot be read",
            Self::UnknownProtocol => {
                "the boot loader's information is neither PVH's nor Multiboot2's"
            }
            Self::NoMemoryMap => "the boot loader tells no memory map",
            Self::TooManyRanges => "the boot loader's memory map has too many ranges",
            Self::CommandLineTooLong => "the command line is longer than 2047 bytes",
            Self::TooManyModules => "the boot loader has brought more than 8 modules",
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
            modules: [Module { address: 0, length: 0 }; MOST_MODULES],
            module_count: 0,
        }
    }

    /// Copies what is at `address` out of `memory`, which gives the bytes at a physical
    /// address if they can be read.
    pub(crate) fn read<'a>(
        &mut self,
        address: u64,
        memory: impl PhysicalMemory<'a>,
    ) -> Result<(), Error> {
        let first = memory(address, 8).ok_or(Error::Unreadable)?;
        match (u32_at(first, 0), u32_at(first, 4)) {
            (MAGIC, 0) => Err(Error::NoMemoryMap),
            (MAGIC, _) => self.read_pvh(address, &memory),
            (length, 0) => self.read_multiboot(address, length, &memory),
            _ => Err(Error::UnknownProtocol),
        }
    }

    /// PVH's start info, of version 1 at least.
    fn read_pvh<'a>(
        &mut self,
        address: u64,
        memory: &impl PhysicalMemory<'a>,
    ) -> Result<(), Error> {
        const BYTES: usize = 52;
        const MODULE_BYTES: usize = 32;
        let info = memory(address, BYTES).ok_or(Error::Unreadable)?;
        self.rsdp = Some(u64_at(info, 32)).filter(|rsdp| *rsdp != 0);
        let (line, map) = (u64_at(info, 24), u64_at(info, 40));
        self.read_command_line(line, memory)?;
        let line_bytes = self.command_line_length + 1;

        let modules = u32_at(info, 12) as usize;
        if modules > MOST_MODULES {
            return Err(Error::TooManyModules);
        }
        if modules > 0 {
            let list = memory(u64_at(info, 16), modules * MODULE_BYTES);
            for entry in list.ok_or(Error::Unreadable)?.chunks_exact(MODULE_BYTES) {
                self.add_module(u64_at(entry, 0), u64_at(entry, 8))?;
            }
        }
        let count = u32_at(info, 48) as usize;
        self.read_map(map, count, PVH_ENTRY_BYTES, memory)?;
        self.own = [(address, BYTES), (line, line_bytes), (map, count * PVH_ENTRY_BYTES)]
            .map(|(start, length)| start..start.saturating_add(length as u64));
        Ok(())
    }

    /// A memory map of so many entries, each of a start, a length and a type, and all of so many bytes.
    fn read_map<'a>(
        &mut self,
        address: u64,
        count: usize,
        entry_bytes: usize,
        memory: &impl PhysicalMemory<'a>,
    ) -> Result<(), Error> {
        let ranges = self.ranges.get_mut(..count).ok_or(Error::TooManyRanges)?;
        let map = memory(address, count * entry_bytes).ok_or(Error::Unreadable)?;
        for (range, entry) in ranges.iter_mut().zip(map.chunks_exact(entry_bytes)) {
            let start = u64_at(entry, 0);
            *range = MemoryRange {
                addresses: start..start.saturating_add(u64_at(entry, 8)),
                usable: u32_at(entry, 16) == USABLE,
            };
        }
        self.range_count = count;
        Ok(())
    }

    fn add_module(&mut self, address: u64, length: u64) -> Result<(), Error> {
        let place = self.modules.get_mut(self.module_count).ok_or(Error::TooManyModules)?;
        *place = Module { address, length };
        self.module_count += 1;
        Ok(())
    }

    /// The modules, in the order in which the boot loader was given them.
    pub(crate) fn modules(&self) -> &[Module] {
        &self.modules[..self.module_count]
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
        memory: &impl PhysicalMemory<'a>,
    ) -> Result<(), Error> {
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
