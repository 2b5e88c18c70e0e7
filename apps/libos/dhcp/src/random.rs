//! Random numbers, which are an argument.

use core::time::Duration;

/// Where random numbers come from: a function that gives another each time. Transactions are known by
/// them, so an attacker that can guess them can forge replies.
pub type Random<'a> = dyn FnMut() -> u32 + 'a;

/// Below `bound`, in milliseconds; not for secrets.
pub(crate) fn below(random: &mut Random<'_>, bound: Duration) -> Duration {
    let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1);
    let draw = u64::from(random()) % bound;
    Duration::from_millis(draw)
}
