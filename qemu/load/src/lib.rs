//! Load generators of the benchmarks, apart from the command so that they can be compiled for speed: the
//! client must not be what is measured.

mod client;
pub mod echo;
pub mod http;

/// One run of a load generator against one guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Operations a second.
    pub per_second: f64,
    /// Operations in all.
    pub operations: u64,
    /// Operations or connections that failed.
    pub failures: u64,
    /// Median of the time an operation took, in microseconds.
    pub median_us: f64,
    /// Mean of it, in microseconds.
    pub mean_us: f64,
    /// The time that 99 of 100 operations did not exceed, in microseconds.
    pub percentile_99_us: f64,
}

/// How far the connections of a load generator have come.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Answers on each connection.
    pub answers: Vec<u64>,
    /// Connections that failed.
    pub failed: usize,
}

impl Progress {
    /// Answers on the connection with the fewest.
    pub fn least(&self) -> u64 {
        self.answers.iter().copied().min().unwrap_or(0)
    }

    /// Answers on all together.
    pub fn all(&self) -> u64 {
        self.answers.iter().sum()
    }

    /// Connections without an answer since another look at them.
    pub fn waiting_since(&self, before: &Self) -> usize {
        self.answers.iter().zip(&before.answers).filter(|(now, before)| now == before).count()
    }
}

impl Measured {
    /// How many operations were under way at a time, by Little's law. Clients that keep one
    /// going on each connection but see fewer have connections that nobody serves.
    pub fn under_way(&self) -> f64 {
        self.per_second * self.mean_us / 1e6
    }
}

/// The value below which `percent` of the ascending `sorted` lie, by nearest rank.
pub fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_counts_by_itself() {
        let before = Progress { answers: vec![1, 5, 3], failed: 0 };
        let after = Progress { answers: vec![6, 5, 4], failed: 0 };
        assert_eq!((after.least(), after.all()), (4, 15));
        assert_eq!(after.waiting_since(&before), 1);
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&hundred, 100), Some(100));
        assert_eq!(percentile(&[7], 1), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
