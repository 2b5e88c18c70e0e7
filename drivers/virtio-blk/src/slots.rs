//! What each request that may be in flight has for good: descriptors, and memory for what goes with its data.
//!
//! ```text
//!  slot n: descriptors 4n, 4n+1, 4n+2, 4n+3
//!          header -> piece -> piece -> status
//! ```
//! A chain of fewer parts leaves descriptors of its slot out; it always begins with the first.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use reflex_hil::PIECES;
use reflex_virtio_bus::{Dma, Error};
use virtio_drivers::BufferDirection::Both;
use virtio_drivers::{Hal, PhysAddr};

/// Descriptors of a slot: header, pieces, status.
pub(crate) const CHAIN: u16 = PIECES as u16 + 2;

/// Bytes of a header (5.2.6), of the one segment of a discard, and of a name.
pub(crate) const HEADER_BYTES: u32 = 16;
pub(crate) const DISCARD_BYTES: u32 = 16;
pub(crate) const NAME_BYTES: usize = 20;

/// What no device answers: it has not written the status.
const UNWRITTEN: u8 = 0xff;

/// What a slot has in memory: a cache line. Atomics, since a device may write there at any time.
#[repr(C, align(64))]
struct Frame {
    /// The header.
    kind: AtomicU32,
    reserved: AtomicU32,
    sector: AtomicU64,
    /// The segment of a discard (5.2.6, `virtio_blk_discard_write_zeroes`).
    discarded: AtomicU64,
    count: AtomicU32,
    flags: AtomicU32,
    /// What the device writes at the end.
    status: AtomicU8,
    /// What it is called.
    name: [AtomicU8; NAME_BYTES],
}

/// The frames of all slots.
pub(crate) struct Frames<H: Hal> {
    memory: Dma<H>,
    slots: u16,
}

impl<H: Hal> Frames<H> {
    pub(crate) fn new(slots: u16) -> Result<Self, Error> {
        let memory = Dma::new(usize::from(slots) * size_of::<Frame>(), Both)?;
        Ok(Self { memory, slots })
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> u16 {
        self.slots
    }

    #[inline]
    fn frame(&self, slot: u16) -> &Frame {
        assert!(slot < self.slots);
        // SAFETY: the memory has a frame for each slot, aligned as its pages are and zeroed, and lives as long as
        // `self`. This image only accesses it by these atomics; the device's accesses are those of another
        // thread.
        unsafe { self.memory.memory().cast::<Frame>().add(slot.into()).as_ref() }
    }

    /// Where the device finds a field of a frame.
    #[inline]
    fn physical(&self, slot: u16, field: usize) -> PhysAddr {
        self.memory.physical() + (usize::from(slot) * size_of::<Frame>() + field) as u64
    }

    /// Writes a slot's header, and its status as one that the device has not written yet: where the two are.
    #[inline]
    pub(crate) fn begin(&mut self, slot: u16, kind: u32, sector: u64) -> (PhysAddr, PhysAddr) {
        let frame = self.frame(slot);
        frame.kind.store(kind.to_le(), Relaxed);
        frame.reserved.store(0, Relaxed);
        frame.sector.store(sector.to_le(), Relaxed);
        frame.status.store(UNWRITTEN, Relaxed);
        let (header, status) = (offset_of!(Frame, kind), offset_of!(Frame, status));
        (self.physical(slot, header), self.physical(slot, status))
    }

    /// Writes the segment of a slot's discard: where it is.
    pub(crate) fn discard(&mut self, slot: u16, sector: u64, sectors: u32) -> PhysAddr {
        let frame = self.frame(slot);
        frame.discarded.store(sector.to_le(), Relaxed);
        frame.count.store(sectors.to_le(), Relaxed);
        frame.flags.store(0, Relaxed);
        self.physical(slot, offset_of!(Frame, discarded))
    }

    /// Where the device is to write its name.
    pub(crate) fn name_place(&self, slot: u16) -> PhysAddr {
        self.physical(slot, offset_of!(Frame, name))
    }

    /// What it wrote there.
    pub(crate) fn name(&self, slot: u16) -> [u8; NAME_BYTES] {
        self.frame(slot).name.each_ref().map(|byte| byte.load(Relaxed))
    }

    /// What the device says of the request.
    #[inline]
    pub(crate) fn status(&self, slot: u16) -> u8 {
        self.frame(slot).status.load(Relaxed)
    }
}
