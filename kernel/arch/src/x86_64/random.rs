//! The processor's random number generator.

use super::cpu::Features;
use core::arch::asm;

/// RDRAND, known to be there.
#[derive(Clone, Copy, Debug)]
pub struct Rdrand(());

impl Rdrand {
    /// The generator, if the processor has one.
    pub fn new(features: &Features) -> Option<Self> {
        features.rdrand.then_some(Self(()))
    }

    /// 64 random bits; `None` when the generator has run dry ten times in a row, which Intel
    /// calls a failure (Digital Random Number Generator guide, 5.2.1).
    pub fn next(self) -> Option<u64> {
        (0..10).find_map(|_| {
            let value: u64;
            let valid: u8;
            // SAFETY: `new` has checked that the instruction exists; it touches registers only.
            unsafe {
                asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) valid,
                     options(nomem, nostack));
            }
            (valid == 1).then_some(value)
        })
    }

    /// Fills `bytes`; false when the generator failed, and `bytes` are then not to be used.
    #[must_use = "the bytes are not random when the generator failed"]
    pub fn fill(self, bytes: &mut [u8]) -> bool {
        bytes.chunks_mut(8).all(|chunk| match self.next() {
            Some(value) => {
                let length = chunk.len();
                chunk.copy_from_slice(&value.to_le_bytes()[..length]);
                true
            }
            None => false,
        })
    }
}
