//! Whether a wheel's timers may be periodic.

use core::num::NonZeroU64;

/// What a wheel keeps of a timer's period: nanoseconds, or [nothing](Once) where no timer has one.
pub trait Period: Copy {
    /// No period.
    const NONE: Self;

    /// A period, as far as it is kept.
    fn new(nanos: Option<NonZeroU64>) -> Self;

    /// The period in nanoseconds; 0 for none.
    fn nanos(self) -> u64;
}

impl Period for u64 {
    const NONE: Self = 0;

    #[inline]
    fn new(nanos: Option<NonZeroU64>) -> Self {
        nanos.map_or(0, NonZeroU64::get)
    }

    #[inline]
    fn nanos(self) -> u64 {
        self
    }
}

/// No timer of the wheel is periodic: a timer takes 8 bytes less, and a period that it is armed with is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Once;

impl Period for Once {
    const NONE: Self = Self;

    #[inline]
    fn new(_: Option<NonZeroU64>) -> Self {
        Self
    }

    #[inline]
    fn nanos(self) -> u64 {
        0
    }
}
