//! IETH: the key a send takes away.

use crate::RKey;

/// Invalidate extended transport header (IBA volume 1, 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ieth(pub RKey);

impl Ieth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 4;

    /// Reads it.
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(RKey(u32::from_be_bytes(*bytes)))
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        *bytes = self.0.0.to_be_bytes();
    }
}
