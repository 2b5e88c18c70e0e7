//! The Internet checksum (RFC 1071).

/// A running one's complement sum of big-endian words.
#[derive(Clone, Copy)]
pub(crate) struct Sum(u32);

impl Sum {
    pub(crate) const ZERO: Self = Self(0);

    /// With more bytes, at most 64 KiB in all; an odd one is padded with zero.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
        let last = rest.first().map_or(0, |byte| u32::from(*byte) << 8);
        Self(self.0 + sum + last)
    }

    fn fold(self) -> u16 {
        let once = (self.0 & 0xffff) + (self.0 >> 16);
        ((once & 0xffff) + (once >> 16)) as u16
    }

    /// What makes the sum whole.
    pub(crate) fn checksum(self) -> [u8; 2] {
        (!self.fold()).to_be_bytes()
    }

    /// Whether what was summed, its checksum included, is intact.
    pub(crate) fn is_intact(self) -> bool {
        self.fold() == 0xffff
    }
}
