//! What a device's features and configuration say of it (5.2.3, 5.2.4).

use crate::Error;
use reflex_hil::{BlockInfo, PIECES, SECTOR, Serial};
use reflex_virtio_bus::{Queues, read_config_bytes};

/// Feature bits (5.2.3).
const SIZE_MAX: u64 = 1 << 1;
const SEG_MAX: u64 = 1 << 2;
const RO: u64 = 1 << 5;
const BLK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const DISCARD: u64 = 1 << 13;
/// What is accepted.
pub(crate) const WANTED: u64 = SIZE_MAX | SEG_MAX | RO | BLK_SIZE | FLUSH | TOPOLOGY | DISCARD;

/// Byte offsets in the configuration (5.2.4).
mod offset {
    pub(super) const CAPACITY: usize = 0;
    pub(super) const SIZE_MAX: usize = 8;
    pub(super) const SEG_MAX: usize = 12;
    pub(super) const BLK_SIZE: usize = 20;
    /// The logarithm of logical blocks in a physical one, a byte.
    pub(super) const PHYSICAL_EXPONENT: usize = 24;
    /// The best length of a transfer, in logical blocks.
    pub(super) const OPTIMAL: usize = 28;
    pub(super) const MOST_DISCARDED: usize = 36;
    pub(super) const DISCARD_ALIGNMENT: usize = 44;
}

/// Bytes of a block: a page table's large page is more than any disk has.
const BLOCKS: core::ops::RangeInclusive<u32> = SECTOR as u32..=2 << 20;

/// Reads what a device is like that has accepted these features.
pub(crate) fn read<T: Queues>(device: &T, features: u64) -> Result<BlockInfo, Error> {
    let word = |feature: u64, offset| -> Result<Option<u32>, Error> {
        let has = features & feature != 0;
        let bytes = has.then(|| read_config_bytes(device, offset)).transpose()?;
        Ok(bytes.map(u32::from_le_bytes))
    };
    let block = word(BLK_SIZE, offset::BLK_SIZE)?.unwrap_or(SECTOR as u32);
    if !BLOCKS.contains(&block) || !block.is_power_of_two() {
        return Err(Error::BlockSize);
    }
    let sectors = u64::from_le_bytes(read_config_bytes(device, offset::CAPACITY)?);
    let exponent = match features & TOPOLOGY {
        0 => 0,
        _ => read_config_bytes::<T, 1>(device, offset::PHYSICAL_EXPONENT)?[0],
    };
    let physical = block.checked_shl(exponent.into()).filter(|bytes| BLOCKS.contains(bytes));
    let optimal = word(TOPOLOGY, offset::OPTIMAL)?.unwrap_or(0);
    // 0 segments, or segments of 0 bytes, cannot be meant: they are no limit.
    let pieces = word(SEG_MAX, offset::SEG_MAX)?.filter(|most| *most > 0);
    let most_bytes = word(SIZE_MAX, offset::SIZE_MAX)?.filter(|most| *most > 0);
    let alignment = word(DISCARD, offset::DISCARD_ALIGNMENT)?.unwrap_or(0);
    let most_discarded = word(DISCARD, offset::MOST_DISCARDED)?.unwrap_or(0);
    // A discard that the device would refuse for its place is not offered.
    let sectors_of_block = block / SECTOR as u32;
    let discards = alignment <= 1 || sectors_of_block.is_multiple_of(alignment);
    Ok(BlockInfo {
        // Whole blocks.
        sectors: sectors - sectors % u64::from(sectors_of_block),
        block,
        physical_block: physical.unwrap_or(block),
        optimal: optimal.saturating_mul(block),
        read_only: features & RO != 0,
        volatile_cache: features & FLUSH != 0,
        most_discarded: if discards { most_discarded } else { 0 },
        pieces: pieces.map_or(PIECES, |most| PIECES.min(most as usize)),
        most_bytes: most_bytes.unwrap_or(u32::MAX),
        in_flight: 0,
        serial: Serial::default(),
    })
}
