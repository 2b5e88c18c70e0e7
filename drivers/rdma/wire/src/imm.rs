//! ImmDt: four bytes beside the payload that the receiver's completion carries.

/// Immediate data (IBA volume 1, 9.3), bytes as they were given: RDMA attaches no meaning, and
/// so no byte order, to them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ImmDt(pub [u8; 4]);

impl ImmDt {
    /// Bytes on the wire.
    pub const LENGTH: usize = 4;

    /// Reads it.
    #[inline]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(*bytes)
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        *bytes = self.0;
    }
}
