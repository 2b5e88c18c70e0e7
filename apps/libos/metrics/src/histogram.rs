//! Histograms with log-linear buckets.
//!
//! Values below 16 have a bucket each. From there on each range between two powers of two has eight of equal width:
//!
//! ```text
//! bucket  0 .. 15   16     17     ..  23     24     25     ..   495
//! values  0 .. 15   16-17  18-19  ..  30-31  32-35  36-39  ..   15 * 2^60 ..
//! ```
//!
//! So a value is told from others to an eighth of its size, whatever it is, in 4 KB.

use crate::{Description, Kind, Metric, Sample, Value};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of the width of a range between powers of two, a bucket has one part in two to this.
const PARTS: u32 = 3;
/// How many buckets there are: those of values below `2 << PARTS`, and the parts of the ranges above.
pub const BUCKETS: usize = (64 - PARTS as usize + 1) << PARTS;

/// How often values of which size were observed, to an eighth of their size.
///
/// It has all of its memory, 4 KB, from the start. To observe takes some twenty instructions.
#[derive(Debug)]
pub struct Histogram {
    description: Description,
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    max: AtomicU64,
}

impl Histogram {
    /// A histogram. What is observed is in the unit that the name says.
    ///
    /// # Panics
    /// When the name is none. In a `static` that is an error when it is compiled.
    #[track_caller]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        let description = Description::new(name, help, Kind::Histogram);
        let (sum, max) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { description, buckets: [const { AtomicU64::new(0) }; _], sum, max }
    }

    /// As [`Counter::label`](crate::Counter::label).
    ///
    /// # Panics
    /// As there.
    pub const fn label(self, key: &'static str, value: &'static str) -> Self {
        Self { description: self.description.label(key, value), ..self }
    }

    /// Counts a value.
    #[inline]
    pub fn observe(&self, value: u64) {
        self.buckets[bucket(value)].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// All values together; after `u64::MAX` comes 0 again.
    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }

    /// The greatest value; 0 when there was none.
    pub fn max(&self) -> u64 {
        self.max.load(Relaxed)
    }

    /// A bound that at least `permille` thousandths of the values did not exceed, and at most an eighth above the
    /// least there is; 0 when there were none.
    pub fn quantile(&self, permille: u64) -> u64 {
        let wanted = (u128::from(self.count()) * u128::from(permille)).div_ceil(1000);
        let mut seen = 0;
        for (last, count) in self.buckets() {
            seen += u128::from(count);
            if seen >= wanted {
                return last.min(self.max());
            }
        }
        // More were counted meanwhile, or `permille` is above a thousand.
        self.max()
    }

    /// The median, as [`quantile`](Self::quantile) has it.
    pub fn p50(&self) -> u64 {
        self.quantile(500)
    }

    /// What 99 % did not exceed, as [`quantile`](Self::quantile) has it.
    pub fn p99(&self) -> u64 {
        self.quantile(990)
    }

    /// The buckets that are not empty: the greatest value of each, and how many there were.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).enumerate();
        counts.filter(|(_, count)| *count > 0).map(|(index, count)| (last(index), count))
    }
}

impl Metric for Histogram {
    fn description(&self) -> &Description {
        &self.description
    }

    fn sample(&'static self) -> Sample {
        self.description.sample(Value::Histogram(self))
    }
}

/// The bucket of a value.
#[inline]
const fn bucket(value: u64) -> usize {
    let exponent = (value | 1 << PARTS).ilog2() - PARTS;
    ((exponent << PARTS) as u64 + (value >> exponent)) as usize
}

/// The greatest value of a bucket.
const fn last(bucket: usize) -> u64 {
    let range = bucket >> PARTS;
    let exponent = if range == 0 { 0 } else { range - 1 };
    let part = bucket - (exponent << PARTS);
    // The next one's first may be 2^64.
    ((part as u64) << exponent) + ((1 << exponent) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        assert_eq!((bucket(0), last(0)), (0, 0));
        for index in 1..BUCKETS {
            let first = last(index - 1) + 1;
            assert_eq!((bucket(first), bucket(last(index))), (index, index));
            assert!(last(index) - first <= first / 8, "bucket {index} is wider than an eighth");
        }
        assert_eq!((bucket(u64::MAX), last(BUCKETS - 1)), (BUCKETS - 1, u64::MAX));
    }
}
