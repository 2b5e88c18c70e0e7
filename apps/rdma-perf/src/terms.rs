//! What the two ends agree on.
//!
//! The client asks in the private data of its connection request, and the server offers memory in that
//! of its reply: at least [`REGION`] bytes with all rights, in which the client works from the start
//! on. All integers are big-endian.
//!
//! For messages the server has twice [`window`](Ask::window) receives posted before it replies, and
//! posts each again when its message has come. It answers each of the first [`WARM`] + count messages
//! by one of the same size. Of the next count messages it answers each window-th, by an empty one: the
//! client is never more than two windows ahead of these, so that there always is a receive. Of other
//! operations the server knows nothing. The client disconnects.

/// Where the server listens.
pub(crate) const PORT: u16 = 7473;
/// Bytes of the server's memory, and of the longest operation.
pub(crate) const REGION: usize = 1 << 20;
/// Operations that come before the first that counts.
pub(crate) const WARM: u32 = 16;
/// Most operations in flight.
pub(crate) const LARGEST_WINDOW: u32 = 1024;

/// How an ask begins.
const MAGIC: u32 = 0x5246_5850;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    Send = 1,
    Write = 2,
    Read = 3,
    /// Fetch-and-add.
    Atomic = 4,
}

impl Test {
    pub(crate) const ALL: [Self; 4] = [Self::Send, Self::Write, Self::Read, Self::Atomic];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Write => "write",
            Self::Read => "read",
            Self::Atomic => "atomic",
        }
    }
}

/// What a client wants to do.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) test: Test,
    /// Bytes of an operation, as they were asked for.
    pub(crate) size: u32,
    /// Operations that count, one at a time and then in a stream.
    pub(crate) count: u32,
    /// Operations in flight in the stream.
    pub(crate) window: u32,
}

impl Ask {
    const LENGTH: usize = 20;

    /// Bytes of an operation.
    pub(crate) fn length(&self) -> usize {
        if self.test == Test::Atomic { size_of::<u64>() } else { self.size as usize }
    }

    pub(crate) fn emit(&self) -> [u8; Self::LENGTH] {
        let words = [MAGIC, self.test as u32, self.size, self.count, self.window];
        let mut bytes = [0; Self::LENGTH];
        for (field, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *field = word.to_be_bytes();
        }
        bytes
    }

    /// Reads an ask that can be fulfilled.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.first_chunk()?;
        let mut words = bytes.as_chunks().0.iter().map(|field| u32::from_be_bytes(*field));
        let mut next = || words.next();
        let (magic, test) = (next()?, next()?);
        let test = Test::ALL.into_iter().find(|it| *it as u32 == test)?;
        let ask = Self { test, size: next()?, count: next()?, window: next()? };
        let possible = magic == MAGIC
            && (1..=REGION as u32).contains(&ask.size)
            && ask.count > 0
            && (1..=LARGEST_WINDOW).contains(&ask.window);
        possible.then_some(ask)
    }
}

/// The memory that a server offers.
#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) address: u64,
    pub(crate) key: u32,
    pub(crate) length: u32,
}

impl Offer {
    const LENGTH: usize = 16;

    pub(crate) fn emit(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.address.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.key.to_be_bytes());
        bytes[12..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (address, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let (key, length) = (u32::from_be_bytes(*key), u32::from_be_bytes(*length));
        Some(Self { address: u64::from_be_bytes(*address), key, length })
    }
}
