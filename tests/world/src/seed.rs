//! Random choices: `REFLEX_SEED=N` repeats them.

use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::UNIX_EPOCH;

/// A source of random numbers, of a seed that is printed.
pub(crate) fn random() -> StdRng {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = || UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
    let seed = given.unwrap_or_else(clock);
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}
