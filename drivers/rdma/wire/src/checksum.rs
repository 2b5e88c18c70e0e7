//! The Internet checksum (RFC 1071).

/// A running one's complement sum. The order of bytes does not matter to it, so words are taken
/// as the machine has them (RFC 1071, 2B).
#[derive(Clone, Copy)]
pub(crate) struct Sum(u64);

impl Sum {
    pub(crate) const ZERO: Self = Self(0);

    /// With more bytes; an odd one is padded with zero.
    #[inline]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        Self(self.0 + sum + u64::from(u32::from_ne_bytes(last)))
    }

    #[inline]
    fn fold(self) -> u16 {
        let mut sum = self.0;
        // 64 bits to 33, to 18, to 17, to 16.
        sum = (sum & 0xffff_ffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }

    /// The checksum, as its bytes go into the header.
    #[inline]
    pub(crate) fn checksum(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// Whether what was summed, its checksum included, is intact.
    #[inline]
    pub(crate) fn is_intact(self) -> bool {
        self.fold() == 0xffff
    }
}
