//! The kernel's generator of random numbers: ChaCha20, seeded once from the hardware. Each core has one, which begins with
//! a sequence of its own.

use crate::cpu::shared::SHARED;
use crate::cpu::{
    self,
    generator::{Claim, Generator, PIECE},
};
use crate::dispatch::section::section;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use reflex_arch::core_words;

/// Seeds the generators with 256 bits of hardware randomness.
pub(crate) fn seed(seed: [u8; 32]) {
    section(|cs| SHARED.seed.with(cs, |place| *place = Some(seed)));
    begin(seed);
}

/// Has this core's generator make the numbers that follow from a key.
fn begin(key: [u8; 32]) {
    let seeded = Generator::new(key);
    section(|cs| cpu::this().generator.with(cs, |generator| *generator = Some(seeded)));
}

/// Seeds this core's generator, which was not asked before: with what only the core's number and the seed lead to.
#[cold]
fn begin_apart() {
    let seed = section(|cs| SHARED.seed.with(cs, |seed| *seed)).expect("seeded at start-up");
    let (mut stream, mut key) = (ChaCha20Rng::from_seed(seed), [0; 32]);
    stream.set_stream(u64::from(core_words::number()));
    stream.fill_bytes(&mut key);
    begin(key);
}

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) {
    if section(|cs| cpu::this().generator.with(cs, |generator| generator.is_none())) {
        begin_apart();
    }
    for piece in bytes.chunks_mut(PIECE) {
        if let Err(claim) = with_generator(|generator| generator.take(piece)) {
            make(piece, claim);
        }
    }
}

/// Makes a piece of the sequence, which takes some 2,500 instructions, outside of sections; what `bytes`
/// do not need is kept.
#[cold]
#[inline(never)]
fn make(bytes: &mut [u8], claim: Claim) {
    const WORDS: u128 = (PIECE / 4) as u128;
    let mut sequence = ChaCha20Rng::from_seed(claim.key);
    sequence.set_word_pos(u128::from(claim.piece) * WORDS);
    let mut made = [0; PIECE];
    sequence.fill_bytes(&mut made);
    bytes.copy_from_slice(&made[..bytes.len()]);
    with_generator(|generator| generator.keep(&made, bytes.len()));
}

fn with_generator<R>(work: impl FnOnce(&mut Generator) -> R) -> R {
    section(|cs| {
        cpu::this().generator.with(cs, |generator| work(generator.as_mut().expect("seeded before")))
    })
}
