//! What one side tells the other of a queue pair: as text over TCP, in binary over RDMA. Fields that Ethernet and
//! these tests have no use for are 0, as the LID and the number of a shared receive queue.

use alloc::string::String;
use core::fmt::Write;
use reflex::rdma::{Gid, Psn, Qpn, RKey};

/// A queue pair, as its other side has to know it.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    /// Reads and atomics that may be outstanding.
    pub(crate) reads: u32,
    pub(crate) pair: Qpn,
    /// The number that its packets begin with.
    pub(crate) psn: Psn,
    pub(crate) key: RKey,
    pub(crate) address: u64,
    pub(crate) gid: Gid,
}

impl Record {
    /// Bytes of the text with its zero.
    pub(crate) const TEXT: usize = 108;
    /// Bytes in binary.
    pub(crate) const BINARY: usize = 56;

    /// `LID:READS:QPN:PSN:KEY:ADDRESS:` in hexadecimal digits, the GID's bytes likewise, and one more number.
    pub(crate) fn text(&self) -> [u8; Self::TEXT] {
        let Self { reads, pair, psn, key, address, gid } = self;
        let mut text = String::with_capacity(Self::TEXT);
        // Writing to a string always succeeds.
        let _ = write!(
            text,
            "0000:{:04x}:{:06x}:{:06x}:{:08x}:{address:016x}:",
            reads & 0xffff,
            pair.get(),
            psn.get(),
            key.0
        );
        for byte in gid.to_bytes() {
            let _ = write!(text, "{byte:02x}:");
        }
        let _ = write!(text, "{:08x}:", 0);
        let mut bytes = [0; Self::TEXT];
        let length = text.len().min(Self::TEXT - 1);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        bytes
    }

    /// Reads the text.
    pub(crate) fn from_text(bytes: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()?;
        let mut fields = text.split(':');
        let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
        let (_lid, reads, pair, psn) = (number()?, number()?, number()?, number()?);
        let (key, address) = (number()?, number()?);
        let mut gid = [0; 16];
        for byte in &mut gid {
            *byte = u8::try_from(number()?).ok()?;
        }
        Some(Self {
            reads: reads as u32,
            pair: Qpn::new(pair as u32),
            psn: Psn::new(psn as u32),
            key: RKey(u32::try_from(key).ok()?),
            address,
            gid: Gid::from_bytes(gid),
        })
    }

    /// The same as numbers of four bytes, big-endian, and the address as one of eight.
    pub(crate) fn binary(&self) -> [u8; Self::BINARY] {
        let mut bytes = [0; Self::BINARY];
        let words = [0, self.reads, self.pair.get(), self.psn.get(), self.key.0];
        for (field, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *field = word.to_be_bytes();
        }
        bytes[24..32].copy_from_slice(&self.address.to_be_bytes());
        bytes[32..48].copy_from_slice(&self.gid.to_bytes());
        // The index of the GID in the port's table.
        bytes[52..].copy_from_slice(&1_u32.to_be_bytes());
        bytes
    }

    /// Reads the numbers.
    pub(crate) fn from_binary(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BINARY] = bytes.first_chunk()?;
        let word = |at: usize| {
            let field = bytes[at..].first_chunk().copied();
            field.map(u32::from_be_bytes)
        };
        let address = bytes[24..].first_chunk().copied().map(u64::from_be_bytes)?;
        Some(Self {
            reads: word(4)?,
            pair: Qpn::new(word(8)?),
            psn: Psn::new(word(12)?),
            key: RKey(word(16)?),
            address,
            gid: Gid::from_bytes(bytes[32..].first_chunk().copied()?),
        })
    }
}
