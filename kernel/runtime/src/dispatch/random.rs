//! The kernel's generator of random numbers: ChaCha20, seeded once from the hardware.

use crate::cpu;
use crate::dispatch::section::section;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Seeds the generator with 256 bits of hardware randomness.
pub(crate) fn seed(seed: [u8; 32]) {
    let seeded = ChaCha20Rng::from_seed(seed);
    section(|cs| cpu::this().generator.with(cs, |generator| *generator = Some(seeded)));
}

/// Bytes made in one section.
const PIECE: usize = 256;

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) {
    for piece in bytes.chunks_mut(PIECE) {
        section(|cs| {
            cpu::this().generator.with(cs, |generator| {
                generator.as_mut().expect("seeded at start-up").fill_bytes(piece);
            });
        });
    }
}
