//! The boot information of Multiboot2 (Multiboot2 Specification 2.0, 3.6): tags one behind the other, each with its
//! type and length, padded to eight bytes.

use super::{Error, PhysicalMemory, StartInfo, u32_at};

/// What begins the boot information: its length, and a reserved word.
const HEADER: u64 = 8;
/// What begins a tag: its type and its length.
const TAG_HEADER: u64 = 8;
/// Longer than any that a loader makes: what says so is no boot information.
const LONGEST: u32 = 1 << 20;

const END: u32 = 0;
const COMMAND_LINE: u32 = 1;
const MODULE: u32 = 3;
const MEMORY_MAP: u32 = 6;
const OLD_RSDP: u32 = 14;
const NEW_RSDP: u32 = 15;

impl StartInfo {
    /// The boot information at `address`, which says of itself that it has `length` bytes.
    pub(super) fn read_multiboot<'a>(
        &mut self,
        address: u64,
        length: u32,
        memory: &impl PhysicalMemory<'a>,
    ) -> Result<(), Error> {
        if length > LONGEST || u64::from(length) < HEADER + TAG_HEADER {
            return Err(Error::UnknownProtocol);
        }
        let end = address + u64::from(length);
        self.own[0] = address..end;
        let mut at = address + HEADER;
        let mut has_map = false;
        while at + TAG_HEADER <= end {
            let header = memory(at, TAG_HEADER as usize).ok_or(Error::Unreadable)?;
            let (kind, length) = (u32_at(header, 0), u64::from(u32_at(header, 4)));
            if kind == END {
                return if has_map { Ok(()) } else { Err(Error::NoMemoryMap) };
            }
            if length < TAG_HEADER || at + length > end {
                return Err(Error::Unreadable);
            }
            let tag = memory(at, length as usize).ok_or(Error::Unreadable)?;
            has_map |= kind == MEMORY_MAP;
            self.read_tag(kind, at, tag, memory)?;
            at += length.next_multiple_of(8);
        }
        Err(Error::Unreadable)
    }

    /// A tag, which lies at `at`, with its header.
    fn read_tag<'a>(
        &mut self,
        kind: u32,
        at: u64,
        tag: &[u8],
        memory: &impl PhysicalMemory<'a>,
    ) -> Result<(), Error> {
        match kind {
            COMMAND_LINE => self.read_command_line(at + TAG_HEADER, memory),
            MODULE => {
                let (start, end) = (u32_at(tag, 8), u32_at(tag, 12));
                self.add_module(start.into(), end.saturating_sub(start).into())
            }
            MEMORY_MAP => {
                const ENTRIES: usize = 16;
                let entry_bytes = u32_at(tag, 8) as usize;
                // As long as the fields that are read, and not so long that there is none.
                if !(20..=tag.len()).contains(&entry_bytes) {
                    return Err(Error::Unreadable);
                }
                let count = tag.len().saturating_sub(ENTRIES) / entry_bytes;
                self.read_map(at + ENTRIES as u64, count, entry_bytes, memory)
            }
            // A copy of the pointer; that of the later version says more.
            NEW_RSDP => {
                self.rsdp = Some(at + TAG_HEADER);
                Ok(())
            }
            OLD_RSDP => {
                self.rsdp.get_or_insert(at + TAG_HEADER);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryRange, Module};
    use super::*;
    use proptest::prelude::*;

    const AT: u64 = 0x9000;

    fn tag(kind: u32, content: &[u8]) -> Vec<u8> {
        let length = (8 + content.len()) as u32;
        let mut bytes = [&kind.to_le_bytes()[..], &length.to_le_bytes(), content].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0xee);
        bytes
    }

    fn info(tags: &[Vec<u8>]) -> Vec<u8> {
        let tags = tags.concat();
        let length = (8 + tags.len()) as u32;
        [&length.to_le_bytes()[..], &[0; 4], &tags].concat()
    }

    fn map(entries: &[(u64, u64, u32)]) -> Vec<u8> {
        let mut content = [24_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat();
        for (start, length, kind) in entries {
            content.extend([start.to_le_bytes(), length.to_le_bytes()].concat());
            content.extend([kind.to_le_bytes(), [0; 4]].concat());
        }
        tag(MEMORY_MAP, &content)
    }

    fn read(bytes: &[u8]) -> Result<StartInfo, Error> {
        let mut info = StartInfo::new();
        info.read(AT, |address, length| {
            let offset = usize::try_from(address.checked_sub(AT)?).ok()?;
            bytes.get(offset..offset.checked_add(length)?)
        })?;
        Ok(info)
    }

    fn whole() -> Vec<Vec<u8>> {
        vec![
            tag(2, b"GRUB\0"),
            tag(COMMAND_LINE, b"log=off a=b\0"),
            tag(MODULE, &[0, 0, 1, 0, 7, 0, 1, 0, b'c', 0]),
            map(&[(0, 0x9fc00, 1), (0x10_0000, u64::MAX, 1), (0xf000_0000, 0x1000, 2)]),
            tag(OLD_RSDP, &[1; 20]),
            tag(NEW_RSDP, &[2; 36]),
            tag(END, &[]),
        ]
    }

    #[test]
    fn everything_is_found() {
        let tags = whole();
        let read = read(&info(&tags)).unwrap();
        assert_eq!(read.command_line(), b"log=off a=b");
        assert_eq!(read.own()[0], AT..AT + info(&tags).len() as u64);
        assert_eq!(read.modules(), [Module { address: 0x1_0000, length: 7 }]);
        let range = |addresses, usable| MemoryRange { addresses, usable };
        assert_eq!(
            read.ranges(),
            [
                range(0..0x9fc00, true),
                range(0x10_0000..u64::MAX, true),
                range(0xf000_0000..0xf000_1000, false)
            ]
        );
        let before: usize = tags[..5].iter().map(Vec::len).sum();
        assert_eq!(read.rsdp, Some(AT + 8 + before as u64 + 8));
    }

    #[test]
    fn what_is_missing_or_cut_off_is_refused() {
        let mut tags = whole();
        tags.remove(3);
        assert_eq!(read(&info(&tags)).unwrap_err(), Error::NoMemoryMap);
        let tags = whole();
        assert_eq!(read(&info(&tags[..6])).unwrap_err(), Error::Unreadable);
        assert_eq!(read(&[0; 64]).unwrap_err(), Error::UnknownProtocol);
        let map = tag(MEMORY_MAP, &[0; 8]);
        assert_eq!(read(&info(&[map, tag(END, &[])])).unwrap_err(), Error::Unreadable);
        let many = map_of(65);
        assert_eq!(read(&info(&[many, tag(END, &[])])).unwrap_err(), Error::TooManyRanges);
    }

    fn map_of(count: usize) -> Vec<u8> {
        map(&vec![(0, 1, 1); count])
    }

    proptest! {
        #[test]
        fn noise_is_survived(at in 0..200_usize, noise in any::<[u8; 4]>(), cut in 0..300_usize) {
            let mut bytes = info(&whole());
            let at = at.min(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&noise);
            bytes.truncate(cut.max(8));
            let _ = read(&bytes);
        }
    }
}
