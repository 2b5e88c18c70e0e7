//! What the timers of a core lead to.

use super::supervision::Supervision;

/// What an expiry leads to. Each is about one machine word, so that it is kept in registers.
#[derive(Clone, Copy)]
pub(crate) enum Due {
    /// The event of this word has occurred.
    Event(u64),
    /// The event of this word has not occurred in time.
    TimeOut(u64),
    /// A supervised context has run for a while, or been down for one.
    Life(&'static Supervision),
    /// The watchdog is to be fed.
    Watchdog,
}
