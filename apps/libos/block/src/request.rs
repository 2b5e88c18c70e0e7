//! Requests as they are submitted, with their memory.

use core::time::Duration;
use reflex_event::Priority;
use reflex_hil::{BlockOperation, BlockRequest, PIECES, Piece, Pieces};
use reflex_memory::Lent;

/// What is asked of a disk. Memory goes with it by value: its completion returns it.
#[derive(Debug)]
#[must_use = "nothing is done before it is submitted"]
pub struct Request {
    pub(crate) id: u64,
    pub(crate) priority: Option<Priority>,
    pub(crate) within: Option<Duration>,
    /// By its place on the disk; without a tag yet.
    pub(crate) block: BlockRequest,
}

impl Request {
    fn new(operation: BlockOperation, sector: u64, sectors: u32, memory: Pieces) -> Self {
        let block = BlockRequest { tag: 0, operation, sector, sectors, memory };
        Self { id: 0, priority: None, within: None, block }
    }

    /// Reads as many bytes as the memory has, from that sector of the disk on.
    pub fn read(sector: u64, bytes: Lent<[u8]>) -> Self {
        Self::new(BlockOperation::Read, sector, 0, [Some(whole(bytes)), None])
    }

    /// Writes the memory's bytes, from that sector of the disk on.
    pub fn write(sector: u64, bytes: Lent<[u8]>) -> Self {
        Self::new(BlockOperation::Write, sector, 0, [Some(whole(bytes)), None])
    }

    /// Makes durable all writes that are complete when it is submitted.
    pub fn flush() -> Self {
        Self::new(BlockOperation::Flush, 0, 0, [None, None])
    }

    /// Says that so many sectors are not needed any more: what they hold is not known from then on.
    pub fn discard(sector: u64, sectors: u32) -> Self {
        Self::new(BlockOperation::Discard, sector, sectors, [None, None])
    }

    /// Adds a second piece of memory, of the sectors behind the first. It replaces an earlier second one.
    pub fn and(mut self, bytes: Lent<[u8]>) -> Self {
        self.block.memory[PIECES - 1] = Some(whole(bytes));
        self
    }

    /// Of the first piece only so many bytes count, or all if it has fewer.
    pub fn prefix(mut self, length: u32) -> Self {
        if let [Some(piece), _] = &mut self.block.memory {
            piece.length = piece.length.min(length);
        }
        self
    }

    /// Returned in the completion.
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// Requests that wait for the device are given to it by this; by the handler's priority unless said here.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// It fails when it is not done in this time; in the disk's unless said here.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    /// The memory, piece by piece.
    pub fn take_bytes(&mut self) -> Option<Lent<[u8]>> {
        self.block.memory.iter_mut().find_map(Option::take).map(|piece| piece.bytes)
    }
}

/// All of the memory. A pool has no block of 4 GiB.
fn whole(bytes: Lent<[u8]>) -> Piece {
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    Piece { bytes, length }
}
