//! What the two sides tell each other. All of it is big-endian.

use reflex::rdma::RKey;

/// Where the server listens.
pub(crate) const PORT: u16 = 7471;
/// Bytes of the longest message.
pub(crate) const MESSAGE: usize = 16_384;
/// Bytes of the server's memory.
pub(crate) const REGION: usize = 1 << 20;

/// Immediates that make a message a request.
pub(crate) const SHOW: u32 = 0x5246_0001;
pub(crate) const WINDOW: u32 = 0x5246_0002;
pub(crate) const ORDER: u32 = 0x5246_0003;

const MAGIC: u32 = 0x5246_5856;

/// Reads fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// What a client wants of its connection.
#[derive(Clone, Copy)]
pub(crate) struct Hello {
    pub(crate) receives: u8,
    pub(crate) rnr_retries: u8,
    pub(crate) shared: bool,
    /// Milliseconds.
    pub(crate) hold: u32,
}

impl Hello {
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let mut fields = Fields(data);
        (fields.word()? == MAGIC).then_some(())?;
        let (receives, rnr_retries, shared) = (fields.byte()?, fields.byte()?, fields.byte()? != 0);
        fields.byte()?;
        Some(Self { receives, rnr_retries, shared, hold: fields.word()? })
    }
}

/// Where the server's memory is.
pub(crate) fn region(address: u64, key: RKey) -> [u8; 16] {
    let mut told = [0; 16];
    told[..8].copy_from_slice(&address.to_be_bytes());
    told[8..12].copy_from_slice(&key.0.to_be_bytes());
    told[12..].copy_from_slice(&(REGION as u32).to_be_bytes());
    told
}

/// Which bytes a client wants to see.
pub(crate) fn shown(data: &[u8]) -> Option<core::ops::Range<usize>> {
    let mut fields = Fields(data);
    let (offset, length) = (fields.long()? as usize, fields.word()? as usize);
    let end = offset.checked_add(length)?;
    (length <= MESSAGE && end <= REGION).then_some(offset..end)
}

/// What the server is to do with the client's memory.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Send,
    SendImmediate,
    SendInvalidate,
    Write,
    WriteImmediate,
    Read,
    CompareSwap,
    FetchAdd,
}

#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) operation: Operation,
    pub(crate) key: RKey,
    pub(crate) address: u64,
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) immediate: u32,
    pub(crate) compare: u64,
    pub(crate) swap: u64,
}

impl Order {
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let mut fields = Fields(data);
        let operation = match fields.word()? {
            1 => Operation::Send,
            2 => Operation::SendImmediate,
            3 => Operation::SendInvalidate,
            4 => Operation::Write,
            5 => Operation::WriteImmediate,
            6 => Operation::Read,
            7 => Operation::CompareSwap,
            8 => Operation::FetchAdd,
            _ => return None,
        };
        let (key, address) = (RKey(fields.word()?), fields.long()?);
        let (offset, length) = (fields.long()? as usize, fields.word()? as usize);
        let fits = offset.checked_add(length).is_some_and(|end| end <= REGION);
        let (immediate, compare, swap) = (fields.word()?, fields.long()?, fields.long()?);
        fits.then_some(Self { operation, key, address, offset, length, immediate, compare, swap })
    }
}
