//! Block devices: what is asked of one, with the memory by value, and what it answers.

use core::fmt;
use reflex_memory::Lent;

/// Bytes of a sector, in which places and lengths are counted whatever the device's block size is.
pub const SECTOR: usize = 512;

/// Most pieces of memory that a request has.
pub const PIECES: usize = 2;

/// Memory of a request: its first `length` bytes count.
#[derive(Debug)]
pub struct Piece {
    /// The memory.
    pub bytes: Lent<[u8]>,
    /// How much of it is read or written; no more than there is.
    pub length: u32,
}

/// The memory of a request, piece by piece.
pub type Pieces = [Option<Piece>; PIECES];

/// Bytes of all pieces.
pub fn length(pieces: &Pieces) -> u64 {
    pieces.iter().flatten().map(|piece| u64::from(piece.length)).sum()
}

/// What is asked of a block device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockOperation {
    /// From the device to memory.
    Read,
    /// From memory to the device. It survives a loss of power only when a flush that was asked for after it
    /// was answered has been answered, too.
    Write,
    /// Makes durable what was written before.
    Flush,
    /// Sectors are not needed any more: what they hold is not known from then on.
    Discard,
}

/// A request.
#[derive(Debug)]
pub struct BlockRequest {
    /// By what it is told apart from others in flight.
    pub tag: u64,
    /// What is to be done.
    pub operation: BlockOperation,
    /// The first sector.
    pub sector: u64,
    /// Sectors to be discarded. Of reads and writes their memory says how many.
    pub sectors: u32,
    /// What is read or written.
    pub memory: Pieces,
}

/// A request that is done.
#[derive(Debug)]
pub struct BlockDone {
    /// The request's.
    pub tag: u64,
    /// How it went.
    pub result: Result<(), BlockError>,
    /// Its memory; none when a device has failed in such a way that it may still write there.
    pub memory: Pieces,
}

/// Why a request was refused or failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockError {
    /// Nothing is to be read, written or discarded.
    Empty,
    /// It reaches beyond the end of the device.
    OutOfRange,
    /// It does not begin or end where a block of the device does.
    Unaligned,
    /// More bytes in a piece, more pieces or more sectors than the device takes in one request.
    TooLong,
    /// The device cannot be written to.
    ReadOnly,
    /// The device has no such operation.
    Unsupported,
    /// As much is in flight as the device can hold.
    Full,
    /// The device could not read or write its medium.
    Medium,
    /// The device's answer makes no sense: a status that there is not, or a length that cannot be.
    BadAnswer,
    /// The device broke its contract and was stopped.
    DeviceFailed,
}

impl BlockError {
    /// The reason, as a sentence.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "nothing is to be read, written or discarded",
            Self::OutOfRange => "the request reaches beyond the end of the disk",
            Self::Unaligned => "the request does not begin and end with blocks of the disk",
            Self::TooLong => "the request is longer than the disk takes at a time",
            Self::ReadOnly => "the disk is read-only",
            Self::Unsupported => "the disk has no such operation",
            Self::Full => "the disk has as many requests as it can hold",
            Self::Medium => "the disk could not read or write its medium",
            Self::BadAnswer => "the disk's answer makes no sense",
            Self::DeviceFailed => "the disk broke its contract and was stopped",
        }
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for BlockError {}

/// What a block device says it is called: up to 20 bytes of ASCII, or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Serial([u8; 20]);

impl Serial {
    /// The name in those bytes, up to the first zero.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The name; empty when there is none, or one that is no printable ASCII.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let name = self.0.get(..end).filter(|name| name.iter().all(u8::is_ascii_graphic));
        name.and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("")
    }
}

/// What a block device is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// Its size, in sectors.
    pub sectors: u64,
    /// Bytes of a block, a power of two: requests begin and end with whole ones.
    pub block: u32,
    /// Bytes of a block of the medium: writes of less take a read before.
    pub physical_block: u32,
    /// Bytes that are best read or written at a time, or 0 when it does not matter.
    pub optimal: u32,
    /// It cannot be written to.
    pub read_only: bool,
    /// What was written may be lost with the power until it is flushed.
    pub volatile_cache: bool,
    /// Most sectors in a discard; 0 when there is none.
    pub most_discarded: u32,
    /// Most pieces of memory in a request.
    pub pieces: usize,
    /// Most bytes of a piece.
    pub most_bytes: u32,
    /// Most requests in flight.
    pub in_flight: u16,
    /// What it says it is called.
    pub serial: Serial,
}

impl BlockInfo {
    /// Whether the device can do what is asked for.
    ///
    /// # Errors
    /// [`BlockError::Empty`], [`BlockError::OutOfRange`], [`BlockError::Unaligned`], [`BlockError::TooLong`],
    /// [`BlockError::ReadOnly`], [`BlockError::Unsupported`].
    pub fn check(&self, request: &BlockRequest) -> Result<(), BlockError> {
        let (operation, memory) = (request.operation, &request.memory);
        if operation == BlockOperation::Flush {
            return Ok(());
        }
        if operation != BlockOperation::Read && self.read_only {
            return Err(BlockError::ReadOnly);
        }
        let bytes = if operation == BlockOperation::Discard {
            if self.most_discarded == 0 {
                return Err(BlockError::Unsupported);
            }
            if request.sectors > self.most_discarded {
                return Err(BlockError::TooLong);
            }
            u64::from(request.sectors) * SECTOR as u64
        } else {
            let fits = |piece: &Piece| {
                piece.length <= self.most_bytes && piece.length as usize <= piece.bytes.len()
            };
            if memory.iter().flatten().count() > self.pieces || !memory.iter().flatten().all(fits) {
                return Err(BlockError::TooLong);
            }
            if memory.iter().flatten().any(|piece| piece.length == 0) {
                return Err(BlockError::Empty);
            }
            length(memory)
        };
        if bytes == 0 {
            return Err(BlockError::Empty);
        }
        let block = u64::from(self.block);
        if !bytes.is_multiple_of(block) || !request.sector.is_multiple_of(block / SECTOR as u64) {
            return Err(BlockError::Unaligned);
        }
        let end = request.sector.checked_add(bytes / SECTOR as u64);
        if end.is_some_and(|end| end <= self.sectors) {
            Ok(())
        } else {
            Err(BlockError::OutOfRange)
        }
    }
}

/// What a block device has counted since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlockCounters {
    /// Requests that it was given.
    pub requests: u64,
    /// Of these, ones that failed.
    pub failed: u64,
    /// Times the device broke its contract: bad ids, lengths and statuses.
    pub device_errors: u64,
    /// Notifications (VM exits) sent to the device.
    pub notifications: u64,
}

/// A block device. After an interrupt, by which the device's interrupts were suppressed, its owner calls
/// [`Block::next`] until there is nothing, and then [`Block::enable`].
pub trait Block: Send {
    /// What it is like.
    fn info(&self) -> &BlockInfo;

    /// Takes a request. The device is not told before [`Block::notify`]. Requests in flight are done in any
    /// order.
    ///
    /// # Errors
    /// The request, with [`BlockError::Full`], [`BlockError::DeviceFailed`], or what [`BlockInfo::check`] says.
    fn submit(&mut self, request: BlockRequest) -> Result<(), (BlockError, BlockRequest)>;

    /// Tells the device of what was submitted, unless it asked for no notification or nothing was.
    fn notify(&mut self);

    /// The next request that is done.
    fn next(&mut self) -> Option<BlockDone>;

    /// Lets the device interrupt again. True when requests have been done meanwhile, for which no interrupt
    /// will come: interrupts are then suppressed as before.
    #[must_use = "requests may be done for which no interrupt will come"]
    fn enable(&mut self) -> bool;

    /// What was counted.
    fn counters(&self) -> BlockCounters;
}
