//! What a core tells time by, and what its timers lead to.

use super::alarm::Alarm;
use super::job::Job;
use super::local::{Fixed, LateInit};
use super::supervision::Supervision;
use reflex_arch::apic::LocalApic;
use reflex_arch::clock::Clock;
use reflex_timer::Wheel;

/// What a core tells time by. What each arming touches is first.
#[repr(C)]
pub(crate) struct Clockwork {
    /// The timers.
    pub(crate) timers: LateInit<Wheel<Due>>,
    /// When the timer's interrupt comes.
    pub(crate) alarm: Alarm,
    /// The time stamp counter's meaning.
    pub(crate) clock: Fixed<Clock>,
    /// The interrupt controller.
    pub(crate) apic: Fixed<LocalApic>,
    /// The time stamp counter when the kernel was started.
    pub(crate) origin: Fixed<u64>,
    /// The job that expires timers.
    pub(crate) job: Fixed<Job>,
}

impl Clockwork {
    /// Before the kernel's start.
    pub(crate) const fn new() -> Self {
        Self {
            timers: LateInit::new(),
            alarm: Alarm::new(),
            clock: Fixed::new(),
            apic: Fixed::new(),
            origin: Fixed::new(),
            job: Fixed::new(),
        }
    }
}

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
