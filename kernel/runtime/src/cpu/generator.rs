//! The state of the generator of random numbers.

/// Bytes that are made at a time.
pub(crate) const PIECE: usize = 256;

/// What is left of the piece that was made last, and what the next is made from.
pub(crate) struct Generator {
    key: [u8; 32],
    /// Pieces of the key's sequence that have been claimed.
    claimed: u64,
    made: [u8; PIECE],
    used: usize,
}

/// A piece of a key's sequence, which is made by nobody else.
pub(crate) struct Claim {
    pub(crate) key: [u8; 32],
    pub(crate) piece: u64,
}

impl Generator {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Generator { key, claimed: 0, made: [0; PIECE], used: PIECE }
    }

    /// Fills `bytes` with what has been made; if that is not enough, the next piece is the caller's to
    /// make.
    pub(crate) fn take(&mut self, bytes: &mut [u8]) -> Result<(), Claim> {
        let until = self.used + bytes.len();
        if until > PIECE {
            let piece = self.claimed;
            self.claimed += 1;
            return Err(Claim { key: self.key, piece });
        }
        // Nobody is given them again.
        bytes.copy_from_slice(&self.made[self.used..until]);
        self.made[self.used..until].fill(0);
        self.used = until;
        Ok(())
    }

    /// Keeps the rest of a piece from `used` on, if it is more than what there is.
    pub(crate) fn keep(&mut self, made: &[u8; PIECE], used: usize) {
        if used < self.used {
            self.made = *made;
            self.used = used;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_given_twice_and_no_piece_claimed_twice() {
        let mut generator = Generator::new([7; 32]);
        let mut bytes = [0; 8];
        let first = generator.take(&mut bytes).unwrap_err();
        // Another asks before the first has made its piece, and is done earlier.
        let second = generator.take(&mut bytes).unwrap_err();
        assert_eq!((first.piece, second.piece, second.key), (0, 1, [7; 32]));
        generator.keep(&[2; PIECE], 8);
        generator.keep(&[1; PIECE], 8);
        for _ in 1..PIECE / 8 {
            assert!(generator.take(&mut bytes).is_ok());
            assert_eq!(bytes, [2; 8], "the piece that was kept first");
        }
        assert_eq!(generator.take(&mut bytes).unwrap_err().piece, 2);
    }

    #[test]
    fn the_larger_rest_is_kept() {
        let mut generator = Generator::new([0; 32]);
        generator.keep(&[1; PIECE], 200);
        generator.keep(&[2; PIECE], 100);
        let mut bytes = [0; 156];
        assert!(generator.take(&mut bytes).is_ok());
        assert_eq!(bytes, [2; 156]);
        assert!(generator.take(&mut bytes[..1]).is_err());
        assert!(generator.take(&mut []).is_ok());
    }
}
