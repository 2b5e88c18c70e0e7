//! DETH: the queue pair that sends a datagram, and the key to be let in.

use crate::bits::u24;
use crate::{QKey, Qpn};

/// Datagram extended transport header (IBA volume 1, 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deth {
    /// Has to be that of the receiving queue pair.
    pub key: QKey,
    /// The sender, to be answered.
    pub source: Qpn,
}

impl Deth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 8;

    /// Reads it.
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [a, b, c, d, _, source @ ..] = *bytes;
        let key = QKey(u32::from_be_bytes([a, b, c, d]));
        Self { key, source: Qpn::new(u24(source)) }
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        bytes[0..4].copy_from_slice(&self.key.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.source.get().to_be_bytes());
    }
}
