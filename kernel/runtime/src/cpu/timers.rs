//! The timers of a core, and what they lead to.

use super::job::Job;
use super::supervision::Supervision;
use reflex_timer::Wheel;

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

/// What the timer interrupt is for.
pub(crate) struct Timers {
    pub(crate) wheel: Wheel<Due>,
    /// The job that expires timers.
    pub(crate) job: Job,
}
