//! Monotonic time: the time stamp counter, scaled to nanoseconds.

#[cfg(not(feature = "hosted"))]
use core::arch::x86_64::_rdtsc;

/// The time stamp counter. Not ordered with the instructions around it.
#[cfg(not(feature = "hosted"))]
#[inline(always)]
pub fn tsc() -> u64 {
    // SAFETY: RDTSC reads a counter; every x86-64 processor has it, and CR4.TSD is never set.
    unsafe { _rdtsc() }
}

/// The time stamp counter of the simulated processor.
#[cfg(feature = "hosted")]
pub fn tsc() -> u64 {
    crate::hosted::processor::read_counter()
}

/// Multiplication by a fixed fraction, without a division.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// The factor, in units of 2^-32.
    factor: u64,
}

const NANOS_A_SECOND: u64 = 1_000_000_000;

impl Scale {
    /// Multiplication by one.
    pub const IDENTITY: Self = Self { factor: 1 << 32 };

    /// From a counter of `hz` to nanoseconds.
    pub const fn to_nanos_from(hz: u64) -> Self {
        Self::ratio(NANOS_A_SECOND, hz)
    }

    /// From nanoseconds to a counter of `hz`.
    pub const fn from_nanos_to(hz: u64) -> Self {
        Self::ratio(hz, NANOS_A_SECOND)
    }

    const fn ratio(numerator: u64, denominator: u64) -> Self {
        let denominator = if denominator == 0 { 1 } else { denominator } as u128;
        // Rounded to nearest: the error is under 2^-33 a count, 0.1 s in a year at 3 GHz.
        Self { factor: ((((numerator as u128) << 32) + denominator / 2) / denominator) as u64 }
    }

    /// `count`, scaled and rounded down. Exact for products under 2^96.
    #[inline(always)]
    pub const fn apply(self, count: u64) -> u64 {
        ((count as u128 * self.factor as u128) >> 32) as u64
    }
}

/// Nanoseconds since the image was entered.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: u64,
    scale: Scale,
}

impl Clock {
    /// A clock that was 0 when the time stamp counter was `origin`, which counts at `hz`.
    pub const fn new(origin: u64, hz: u64) -> Self {
        Self { origin, scale: Scale::to_nanos_from(hz) }
    }

    /// The same clock by another counter, which is so many counts ahead of this one's.
    pub const fn ahead(self, counts: i64) -> Self {
        Self { origin: self.origin.wrapping_add_signed(counts), scale: self.scale }
    }

    /// The time.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        self.at(tsc())
    }

    /// The time when the time stamp counter was `count`.
    #[inline(always)]
    pub const fn at(&self, count: u64) -> u64 {
        self.scale.apply(count.wrapping_sub(self.origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigahertz_counter_counts_nanoseconds() {
        let clock = Clock::new(1_000, NANOS_A_SECOND);
        assert_eq!(clock.at(1_000), 0);
        assert_eq!(clock.at(123_456_789_012), 123_456_788_012);
    }

    #[test]
    fn a_counter_that_is_ahead_tells_the_same_time() {
        let clock = Clock::new(1_000, NANOS_A_SECOND);
        for ahead in [-5_000_i64, 0, 7_000_000] {
            let other = 123_456_u64.wrapping_add_signed(ahead);
            assert_eq!(clock.ahead(ahead).at(other), clock.at(123_456));
        }
    }

    #[test]
    fn a_year_at_any_rate_is_off_by_less_than_a_second() {
        const YEAR: u64 = 365 * 24 * 3600;
        for hz in [24_000_000, 999_999_937, 2_112_005_678, 3_600_000_001, 5_200_000_000] {
            let nanos = Clock::new(0, hz).at(hz * YEAR);
            assert!(nanos.abs_diff(YEAR * NANOS_A_SECOND) < NANOS_A_SECOND, "{hz} Hz: {nanos}");
        }
    }

    #[test]
    fn there_and_back_loses_no_more_than_a_count() {
        for hz in [62_500_000_u64, NANOS_A_SECOND, 3_000_000_000] {
            for nanos in [1, 999, 1_000_000, 4_000_000_000] {
                let back = Scale::to_nanos_from(hz).apply(Scale::from_nanos_to(hz).apply(nanos));
                assert!(back <= nanos && nanos - back <= 1 + NANOS_A_SECOND / hz);
            }
        }
    }
}
