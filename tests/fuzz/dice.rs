//! A fuzzer's bytes as choices: each takes as few as it needs, so that a small change of the bytes
//! is a small change of the program. When they are used up, every choice is the first.
#![allow(dead_code, reason = "each target uses its part")]

use bolero::ValueGenerator;

/// Strings of up to so many bytes. By itself, the random engine makes none longer than 64.
pub(crate) fn bytes(most: usize) -> impl ValueGenerator<Output = Vec<u8>> {
    bolero::produce::<Vec<u8>>().with().len(0..=most)
}

/// Bytes to choose by.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let mut most = bound - 1;
        let mut value = 0;
        while most != 0 {
            value = value << 8 | u64::from(self.byte());
            most >>= 8;
        }
        value % bound
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    /// So many, as far as there are.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
