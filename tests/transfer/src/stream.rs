//! The bytes that are sent: any part of them can be made anew.

/// An endless stream that looks random, by the finaliser of a 64-bit hash (Steele, Lea, Flood: *Fast splittable
/// pseudorandom number generators*, 2014) over the number of each eight bytes.
#[derive(Clone, Copy)]
pub(crate) struct Stream(pub(crate) u64);

impl Stream {
    /// Fills `bytes` with those from `position` on.
    pub(crate) fn fill(self, position: usize, bytes: &mut [u8]) {
        let mut position = position;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = self.word((position / 8) as u64).to_le_bytes();
            let part = &word[position % 8..];
            let length = part.len().min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(&part[..length]);
            position += length;
            rest = later;
        }
    }

    fn word(self, number: u64) -> u64 {
        let mut word = self.0.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
