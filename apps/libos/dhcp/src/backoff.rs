//! Randomised exponential back-off (RFC 2131, 4.1).

use crate::random::{Random, below};
use core::time::Duration;

/// A second to either side.
const SPREAD: Duration = Duration::from_secs(1);

/// How often something was sent in vain, and so how long to wait for the next answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    pub(crate) tries: u8,
}

impl Backoff {
    /// Counts a try; returns how long to wait for its answer: 4, 8, 16, 32, 64, 64 … seconds.
    pub(crate) fn next(&mut self, random: &mut Random<'_>) -> Duration {
        let wait = after(self.tries, random);
        self.tries = self.tries.saturating_add(1);
        wait
    }
}

/// The wait after so many tries.
pub(crate) fn after(tries: u8, random: &mut Random<'_>) -> Duration {
    let middle = Duration::from_secs(4 << tries.min(4));
    let millisecond = Duration::from_millis(1);
    middle - SPREAD + below(random, 2 * SPREAD + millisecond)
}
