//! Partitions: where they are, and by what they are called.
//!
//! Tables are those of GPT (UEFI 2.10, chapter 5), of which the copy at the end counts when the first is damaged, and,
//! without one, the four primary partitions of an MBR. What they say is checked against the device and against their
//! checksums: a table that makes no sense is none, and the disk is to be had whole.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use gpt_disk_io::gpt_disk_types::{
    BlockSize, GptHeader, GptPartitionEntryArray, GptPartitionType, Lba,
};
use gpt_disk_io::{BlockIo, Disk as GptDisk};
use reflex_hil::{Block, BlockOperation, BlockRequest, Piece, SECTOR};
use reflex_memory::{Lent, Pool};

/// Entries that a table has at most: four times as many as the usual one.
const MOST_ENTRIES: u32 = 512;
/// Bytes of a table, and of what is read at a time, at most.
const MOST_BYTES: usize = 64 << 10;
/// The type of an MBR's entry that only says that there is a GPT, and of one that says nothing.
const PROTECTIVE: u8 = 0xee;
const UNUSED: u8 = 0;

/// A partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Its number in the table, from 1 on.
    pub number: u32,
    /// Its label; empty in an MBR, which has none.
    pub label: String,
    /// Its sectors.
    pub range: Range<u64>,
}

impl Partition {
    /// Whether it is called that: by its label, or its number.
    pub fn is_called(&self, name: &str) -> bool {
        (!self.label.is_empty() && self.label == name) || name.parse() == Ok(self.number)
    }
}

/// Why a table was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableError {
    /// The device does not answer, or not with what was asked for.
    Device,
    /// There is no memory to read it to.
    OutOfMemory,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "the disk's partition table cannot be read",
            Self::OutOfMemory => "there is no memory for the disk's partition table",
        })
    }
}

impl core::error::Error for TableError {}

/// Reads the partitions of a device that nothing else uses yet, through memory of `pool`, and waits for its answers
/// until `expired`. None when it has no table.
///
/// # Errors
/// [`TableError`].
pub fn partitions(
    device: &mut dyn Block,
    pool: &'static Pool,
    expired: impl FnMut() -> bool,
) -> Result<Vec<Partition>, TableError> {
    let info = *device.info();
    let block = info.block as usize;
    let size = BlockSize::new(info.block).filter(|_| block <= MOST_BYTES / 2);
    let Some(size) = size.filter(|_| info.sectors > 0) else { return Ok(Vec::new()) };
    let mut reader = Reader { device, pool, expired, size };
    let mut first = pool.bytes(block).map_err(|_| TableError::OutOfMemory)?;
    reader.read_blocks(Lba(0), &mut first)?;
    let records = primaries(&first);
    if !records.iter().any(|record| record.kind == PROTECTIVE) {
        return Ok(of_mbr(&records, info.sectors, u64::from(info.block) / SECTOR as u64));
    }
    let mut disk = GptDisk::new(reader).map_err(|_| TableError::Device)?;
    let last = info.sectors * SECTOR as u64 / u64::from(info.block) - 1;
    for at in [1, last] {
        let Ok(header) = disk.read_gpt_header(Lba(at), &mut first) else { continue };
        if let Some(found) = of_gpt(&mut disk, &header, at, size, pool)? {
            let inside = |it: &Partition| it.range.end <= info.sectors;
            return Ok(found.into_iter().filter(inside).collect());
        }
    }
    Ok(Vec::new())
}

/// The partitions of a GPT, if its checksums are right.
fn of_gpt<F: FnMut() -> bool>(
    disk: &mut GptDisk<Reader<'_, F>>,
    header: &GptHeader,
    at: u64,
    size: BlockSize,
    pool: &'static Pool,
) -> Result<Option<Vec<Partition>>, TableError> {
    let sound = header.is_signature_valid()
        && header.calculate_header_crc32() == header.header_crc32
        && header.my_lba.to_u64() == at;
    let layout = header.get_partition_entry_array_layout();
    let Some(layout) = layout.ok().filter(|it| sound && it.num_entries <= MOST_ENTRIES) else {
        return Ok(None);
    };
    let bytes = layout.num_bytes_rounded_to_block_as_usize(size);
    let Some(bytes) = bytes.filter(|bytes| (1..=MOST_BYTES).contains(bytes)) else {
        return Ok(None);
    };
    let mut storage = pool.bytes(bytes).map_err(|_| TableError::OutOfMemory)?;
    let Ok(entries) = disk.read_gpt_partition_entry_array(layout, &mut storage) else {
        return Ok(None);
    };
    if entries.calculate_crc32() != header.partition_entry_array_crc32 {
        return Ok(None);
    }
    Ok(Some((0..layout.num_entries).filter_map(|at| entry(&entries, at, size)).collect()))
}

/// A partition of a GPT, if the entry is one.
fn entry(entries: &GptPartitionEntryArray<'_>, at: u32, size: BlockSize) -> Option<Partition> {
    let entry = *entries.get_partition_entry(at)?;
    let kind = entry.partition_type_guid;
    let (first, last) = (entry.starting_lba.to_u64(), entry.ending_lba.to_u64());
    if kind == GptPartitionType::UNUSED || first == 0 || last < first {
        return None;
    }
    let sectors = size.to_u64() / SECTOR as u64;
    let range = first.checked_mul(sectors)?..last.checked_add(1)?.checked_mul(sectors)?;
    let name = entry.name;
    Some(Partition { number: at + 1, label: name.chars().collect(), range })
}

/// An entry of an MBR.
struct Primary {
    kind: u8,
    first: u32,
    blocks: u32,
}

/// The entries of the MBR in a first block; none when it has no MBR.
fn primaries(block: &[u8]) -> Vec<Primary> {
    let Some((table, [0x55, 0xaa])) = block.get(446..512).and_then(<[u8]>::split_last_chunk::<2>)
    else {
        return Vec::new();
    };
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let (records, _) = table.as_chunks::<16>();
    let record = |it: &[u8; 16]| Primary { kind: it[4], first: word(it, 8), blocks: word(it, 12) };
    records.iter().map(record).collect()
}

/// The partitions of an MBR, on a device of so many sectors, with so many in a block.
fn of_mbr(records: &[Primary], sectors: u64, in_block: u64) -> Vec<Partition> {
    let partition = |(number, record): (u32, &Primary)| {
        let first = u64::from(record.first) * in_block;
        let range = first..first + u64::from(record.blocks) * in_block;
        let sound = record.kind != UNUSED && record.first > 0 && !range.is_empty();
        let inside = range.end <= sectors;
        (sound && inside).then(|| Partition { number, label: String::new(), range })
    };
    (1..).zip(records).filter_map(partition).collect()
}

/// A device from which is read while that is waited for.
struct Reader<'a, F> {
    device: &'a mut dyn Block,
    pool: &'static Pool,
    expired: F,
    size: BlockSize,
}

impl<F: FnMut() -> bool> Reader<'_, F> {
    /// Reads blocks to memory, which is lost when the device does not answer.
    fn read(&mut self, block: u64, bytes: Lent<[u8]>) -> Result<Lent<[u8]>, TableError> {
        let sectors = self.size.to_u64() / SECTOR as u64;
        let request = BlockRequest {
            tag: 0,
            operation: BlockOperation::Read,
            sector: block.checked_mul(sectors).ok_or(TableError::Device)?,
            sectors: 0,
            memory: [Some(Piece { length: bytes.len() as u32, bytes }), None],
        };
        self.device.submit(request).map_err(|_| TableError::Device)?;
        self.device.notify();
        loop {
            match self.device.next() {
                Some(done) => {
                    let memory = done.memory.into_iter().flatten().next();
                    let read = memory.filter(|_| done.result.is_ok());
                    return read.map(|piece| piece.bytes).ok_or(TableError::Device);
                }
                None if (self.expired)() => return Err(TableError::Device),
                None => core::hint::spin_loop(),
            }
        }
    }
}

impl<F: FnMut() -> bool> BlockIo for Reader<'_, F> {
    type Error = TableError;

    fn block_size(&self) -> BlockSize {
        self.size
    }

    fn num_blocks(&mut self) -> Result<u64, TableError> {
        Ok(self.device.info().sectors * SECTOR as u64 / self.size.to_u64())
    }

    fn read_blocks(&mut self, start: Lba, to: &mut [u8]) -> Result<(), TableError> {
        let bytes = self.pool.bytes(to.len()).map_err(|_| TableError::OutOfMemory)?;
        let bytes = self.read(start.to_u64(), bytes)?;
        to.copy_from_slice(&bytes);
        Ok(())
    }

    /// Nothing is written here.
    fn write_blocks(&mut self, _: Lba, _: &[u8]) -> Result<(), TableError> {
        Err(TableError::Device)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }
}
