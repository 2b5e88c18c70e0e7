//! How long activations have waited for their handlers, by priority.

use crate::Priority;

/// Buckets of a histogram.
pub const BUCKETS: usize = 32;

/// How many activations of one priority had waited how long when their handlers began.
///
/// Time is in the units of the core's driver: in the image, counts of the time stamp counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// Activations with handlers that began on the spot.
    pub at_once: u64,
    /// Those that waited: bucket `n` counts waits from `2^(n-1)` up to, not including, `2^n`; the
    /// first counts waits of 0, the last all longer ones too.
    pub waited: [u64; BUCKETS],
}

impl Latency {
    /// How many activations there were.
    pub fn total(&self) -> u64 {
        self.at_once + self.waited.iter().sum::<u64>()
    }

    /// The least power of two that at least `permille` thousandths of the activations had waited
    /// less than; 0 when they all began on the spot, or there were none.
    pub fn quantile(&self, permille: u64) -> u64 {
        let wanted = (self.total() * permille).div_ceil(1000);
        let mut seen = self.at_once;
        if seen >= wanted {
            return 0;
        }
        for (bucket, count) in self.waited.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return 1 << bucket;
            }
        }
        1 << (BUCKETS - 1)
    }
}

/// One histogram a priority, in fixed memory.
pub(crate) struct Latencies {
    at_once: [u64; Priority::LEVELS],
    waited: [[u64; BUCKETS]; Priority::LEVELS],
}

impl Latencies {
    pub(crate) const NONE: Self =
        Self { at_once: [0; Priority::LEVELS], waited: [[0; BUCKETS]; Priority::LEVELS] };

    #[inline(always)]
    pub(crate) fn at_once(&mut self, priority: Priority) {
        self.at_once[priority.index()] += 1;
    }

    #[inline(always)]
    pub(crate) fn waited(&mut self, priority: Priority, time: u64) {
        let bucket = (u64::BITS - time.leading_zeros()).min(BUCKETS as u32 - 1);
        self.waited[priority.index()][bucket as usize] += 1;
    }

    pub(crate) fn of(&self, priority: Priority) -> Latency {
        let level = priority.index();
        Latency { at_once: self.at_once[level], waited: self.waited[level] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_falls_into_the_bucket_of_its_highest_bit() {
        let mut latencies = Latencies::NONE;
        for time in [0, 1, 2, 3, 4, 1 << 30, 1 << 31, u64::MAX] {
            latencies.waited(Priority::HIGH, time);
        }
        let seen = latencies.of(Priority::HIGH);
        assert_eq!((seen.waited[0], seen.waited[1], seen.waited[2], seen.waited[3]), (1, 1, 2, 1));
        assert_eq!(seen.waited[31], 3);
        assert_eq!(seen.total(), 8);
        assert_eq!(latencies.of(Priority::LOW).total(), 0);
    }

    #[test]
    fn quantiles_are_upper_bounds() {
        let mut latencies = Latencies::NONE;
        for _ in 0..98 {
            latencies.at_once(Priority::LOW);
        }
        latencies.waited(Priority::LOW, 5);
        latencies.waited(Priority::LOW, 1000);
        let seen = latencies.of(Priority::LOW);
        assert_eq!([500, 980, 990, 1000].map(|permille| seen.quantile(permille)), [0, 0, 8, 1024]);
    }
}
