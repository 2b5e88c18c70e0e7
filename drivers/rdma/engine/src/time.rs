//! Time, as the engine is told it.

use core::time::Duration;

/// Nanoseconds since any fixed moment. The engine asks nobody for it: it is an argument.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// That many nanoseconds after the fixed moment.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the fixed moment.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// `nanos` later.
    #[inline]
    pub(crate) const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// `wait` later.
    #[inline]
    pub(crate) const fn plus(self, wait: Duration) -> Self {
        self.plus_nanos(nanos(wait))
    }
}

/// A time as nanoseconds; those that occur here fit by far.
pub(crate) const fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos() as u64)
}
