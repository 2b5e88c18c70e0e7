//! The time of day in milliseconds, in which deadlines of keys are said.

use reflex::{Instant, System};

const NANOSECONDS: u64 = 1_000_000;

/// Milliseconds since 1970, or since the start on a machine without a clock that tells the time.
#[inline]
pub(crate) fn now(system: System) -> u64 {
    started(system) + system.now().as_nanos() / NANOSECONDS
}

/// When that will be.
pub(crate) fn instant(system: System, milliseconds: u64) -> Instant {
    let since_start = milliseconds.saturating_sub(started(system));
    Instant::from_nanos(since_start.saturating_mul(NANOSECONDS))
}

#[inline]
fn started(system: System) -> u64 {
    system.machine().started_unix_seconds * 1_000
}
