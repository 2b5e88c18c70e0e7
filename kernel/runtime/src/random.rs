//! The kernel's generator of random numbers: ChaCha20, seeded once from the hardware.

use crate::local::Local;
use crate::section::section;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

static GENERATOR: Local<Option<ChaCha20Rng>> = Local::new(None);

/// Seeds the generator with 256 bits of hardware randomness.
pub(crate) fn seed(seed: [u8; 32]) {
    let seeded = ChaCha20Rng::from_seed(seed);
    section(|cs| GENERATOR.with(cs, |generator| *generator = Some(seeded)));
}

/// Bytes made in one section.
const PIECE: usize = 256;

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) {
    for piece in bytes.chunks_mut(PIECE) {
        section(|cs| {
            GENERATOR.with(cs, |generator| {
                generator.as_mut().expect("seeded at start-up").fill_bytes(piece);
            });
        });
    }
}
