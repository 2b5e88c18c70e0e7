//! Atomic operations: the request's operands, and the original value in the answer.

use crate::RKey;

/// Atomic extended transport header (IBA volume 1, 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AtomicEth {
    /// The eight bytes, aligned to eight, in the responder's virtual addresses.
    pub address: u64,
    /// The memory they lie in.
    pub key: RKey,
    /// What to swap in, or to add.
    pub swap_or_add: u64,
    /// What compare-and-swap compares with; fetch-and-add ignores it.
    pub compare: u64,
}

impl AtomicEth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 28;

    /// Reads it.
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [a, b, c, d, e, f, g, h, k0, k1, k2, k3, operands @ ..] = *bytes;
        let [s0, s1, s2, s3, s4, s5, s6, s7, compare @ ..] = operands;
        Self {
            address: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            key: RKey(u32::from_be_bytes([k0, k1, k2, k3])),
            swap_or_add: u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            compare: u64::from_be_bytes(compare),
        }
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        bytes[0..8].copy_from_slice(&self.address.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.key.0.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.swap_or_add.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.compare.to_be_bytes());
    }
}

/// Atomic acknowledge extended transport header (IBA volume 1, 9.3): the value that was there
/// before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AtomicAckEth {
    /// The original value.
    pub original: u64,
}

impl AtomicAckEth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 8;

    /// Reads it.
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        Self { original: u64::from_be_bytes(*bytes) }
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        *bytes = self.original.to_be_bytes();
    }
}
