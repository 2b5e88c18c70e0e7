//! smoltcp's time.

use core::time::Duration;
use reflex_event::Instant;
use smoltcp::time::Instant as Time;

/// The kernel's time as smoltcp's.
#[inline]
pub(crate) fn time(now: Instant) -> Time {
    Time::from_micros(now.as_micros() as i64)
}

/// smoltcp's time as the kernel's.
#[inline]
pub(crate) fn instant(time: Time) -> Instant {
    Instant::from_nanos((time.total_micros().max(0) as u64).saturating_mul(1000))
}

/// A duration as smoltcp's.
pub(crate) fn smoltcp_duration(duration: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
