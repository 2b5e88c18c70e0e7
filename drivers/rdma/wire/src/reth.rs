//! RETH: where in the responder's memory a write or read takes place.

use crate::RKey;

/// RDMA extended transport header (IBA volume 1, 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reth {
    /// First byte, in the responder's virtual addresses.
    pub address: u64,
    /// The memory it lies in.
    pub key: RKey,
    /// Bytes of the whole message.
    pub length: u32,
}

impl Reth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 16;

    /// Reads it.
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [address @ .., k0, k1, k2, k3, l0, l1, l2, l3] = *bytes;
        Self {
            address: u64::from_be_bytes(address),
            key: RKey(u32::from_be_bytes([k0, k1, k2, k3])),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        bytes[0..8].copy_from_slice(&self.address.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.key.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_be_bytes());
    }
}
