//! The Internet checksum (RFC 1071), eight bytes at a time, and four times that in a round.
//!
//! One's complement addition does not care for byte order or grouping, so the sum is taken over
//! native 64-bit words with an end-around carry and folded at the end.

/// A partial one's complement sum, over native-endian words.
#[derive(Clone, Copy)]
pub(crate) struct Sum(u64);

impl Sum {
    pub(crate) const ZERO: Self = Self(0);

    /// Adds `bytes`, which must begin at an even offset of what is summed.
    #[inline]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let mut sum = self.0;
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            if let [first, second, third, fourth] = block.as_chunks::<8>().0 {
                sum = add(sum, u64::from_ne_bytes(*first));
                sum = add(sum, u64::from_ne_bytes(*second));
                sum = add(sum, u64::from_ne_bytes(*third));
                sum = add(sum, u64::from_ne_bytes(*fourth));
            }
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            sum = add(sum, u64::from_ne_bytes(*word));
        }
        // The rest begins at an even offset, whatever its parts are.
        let (words, rest) = rest.as_chunks::<4>();
        if let [word] = words {
            sum = add(sum, u32::from_ne_bytes(*word).into());
        }
        let (words, rest) = rest.as_chunks::<2>();
        if let [word] = words {
            sum = add(sum, u16::from_ne_bytes(*word).into());
        }
        if let [byte] = rest {
            sum = add(sum, u16::from_ne_bytes([*byte, 0]).into());
        }
        Self(sum)
    }

    /// Adds the pseudo-header of TCP and UDP (RFC 9293, 3.1): the two addresses as they stand in
    /// the IPv4 header, the protocol and the length.
    #[inline]
    pub(crate) fn pseudo_header(self, addresses: &[u8; 8], protocol: u8, length: u16) -> Self {
        let [high, low] = length.to_be_bytes();
        let rest = u32::from_ne_bytes([0, protocol, high, low]);
        Self(add(add(self.0, u64::from_ne_bytes(*addresses)), rest.into()))
    }

    /// Adds the pseudo-header of IPv6 (RFC 8200, 8.1): the two addresses as they stand in the header,
    /// the length and the next header.
    pub(crate) fn pseudo_header6(self, addresses: &[u8; 32], next: u8, length: u32) -> Self {
        self.bytes(addresses).bytes(&length.to_be_bytes()).bytes(&[0, 0, 0, next])
    }

    /// The complement of the folded sum, as the two bytes to be stored.
    #[inline]
    pub(crate) fn finish(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// Whether data that includes its checksum is intact.
    #[inline]
    pub(crate) fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }

    #[inline]
    fn fold(self) -> u16 {
        // The upper half of a number and its halves exchanged is their sum, with the carry of the lower one.
        let sum = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
    }
}

#[inline]
fn add(sum: u64, word: u64) -> u64 {
    let (sum, carry) = sum.overflowing_add(word);
    sum + u64::from(carry)
}

#[cfg(test)]
mod tests {
    use super::Sum;
    use proptest::prelude::*;

    /// The definition, 16 bits at a time.
    fn reference(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let ours = Sum::ZERO.bytes(&bytes).finish();
            // 0x0000 and 0xffff are the same number in one's complement.
            let theirs = reference(&bytes);
            prop_assert!(ours == theirs || (bytes.iter().all(|byte| *byte == 0) && ours == [255, 255]));
        }

        #[test]
        fn data_with_its_checksum_is_valid_and_a_flipped_bit_is_not(
            mut bytes in prop::collection::vec(any::<u8>(), 4..200),
            flip in any::<prop::sample::Index>(),
        ) {
            bytes[2..4].fill(0);
            let checksum = Sum::ZERO.bytes(&bytes).finish();
            bytes[2..4].copy_from_slice(&checksum);
            prop_assert!(Sum::ZERO.bytes(&bytes).is_valid());
            bytes[flip.index(4)] ^= 0x10;
            prop_assert!(!Sum::ZERO.bytes(&bytes).is_valid());
        }
    }
}
