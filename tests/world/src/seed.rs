//! Random choices, which `REFLEX_SEED=N` repeats, and how often things are tried.

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

/// How often something is done: `usually`, or with `REFLEX_WHOLE=1` as often as it takes to be sure, which
/// takes minutes.
pub(crate) fn times(usually: u64, whole: u64) -> u64 {
    let is_whole = std::env::var("REFLEX_WHOLE").is_ok_and(|given| given == "1");
    if is_whole { whole } else { usually }
}
