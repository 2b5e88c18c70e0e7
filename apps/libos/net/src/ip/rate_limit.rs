//! A token bucket for replies that anybody can provoke.

use reflex_event::Instant;

pub(crate) struct Limiter {
    per_second: u32,
    tokens: u32,
    /// Up to when tokens have been added.
    filled: Instant,
}

impl Limiter {
    /// At most `per_second`, and as many at once.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, tokens: per_second, filled: now }
    }

    /// Whether one more may go out.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.per_second == 0 {
            return false;
        }
        let interval = 1_000_000_000 / u64::from(self.per_second);
        let elapsed = now.as_nanos().saturating_sub(self.filled.as_nanos());
        let earned = elapsed / interval.max(1);
        if earned > 0 {
            let room = u64::from(self.per_second - self.tokens);
            self.tokens += earned.min(room) as u32;
            let taken = earned.saturating_mul(interval);
            self.filled = Instant::from_nanos(self.filled.as_nanos().saturating_add(taken));
        }
        let some = self.tokens > 0;
        self.tokens -= u32::from(some);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_through_the_stated_rate_and_no_more() {
        let mut limiter = Limiter::new(10, Instant::ZERO);
        let mut passed = 0;
        // A try each millisecond for ten seconds.
        for millisecond in 0..10_000u64 {
            passed += u32::from(limiter.take(Instant::from_nanos(millisecond * 1_000_000)));
        }
        assert_eq!(passed, 10 + 99);
        assert!(!Limiter::new(0, Instant::ZERO).take(Instant::FAR));
    }
}
