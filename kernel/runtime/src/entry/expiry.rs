//! What becomes of a timer that has expired.

use crate::cpu::job::Job;
use crate::cpu::timers::Due;
use crate::dispatch::section::{Outermost, Start};
use crate::dispatch::timer::Timekeeping;
use crate::dispatch::vector::Vector;
use crate::dispatch::{timer, watchdog};
use crate::event::activate::{activate_deferred, activate_held};
use crate::event::attributes;
use reflex_event::{Error, EventId};

/// When a handler that is due runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At once, if it beats the running context: no other section is open.
    Now,
    /// When the section ends.
    Deferred,
}

/// Starts the clock, and the timer's interrupt.
pub(crate) fn init(start: &Start, time: Timekeeping, limit: usize) -> Result<(), Error> {
    // For what is due while dispatch is deferred, or when more timers are than one.
    let job = Job::in_section(|outermost| expire(outermost, When::Deferred))?;
    let vector = Vector::reserve()?;
    vector.expire(job);
    timer::init(start, time, limit, (vector, job))
}

/// Expires a timer and sets the next interrupt.
///
/// When more timers are due the job is posted, and the context that has become the best to run is
/// not kept waiting by the others' expiries.
#[inline(never)]
pub(crate) fn expire(outermost: &mut Outermost, when: When) {
    expire_here(outermost, when);
}

/// [`expire`] as a part of the caller, of which each instruction counts.
#[inline(always)]
pub(crate) fn expire_here(outermost: &mut Outermost, when: When) {
    let Some((due, count)) = timer::step(outermost) else { return };
    let Due::Event(event) = due else { return carry_out(outermost, due) };
    let event = EventId::from_word(event);
    // A stale event was unregistered while its timer was armed, and a full counter says as much
    // as a counter can.
    let _ = match when {
        When::Now => activate_held(outermost, event, count),
        When::Deferred => activate_deferred(outermost, event, count),
    };
}

/// Does what a timer leads to that activates no event by itself.
#[cold]
#[inline(never)]
fn carry_out(outermost: &mut Outermost, due: Due) {
    match due {
        // Dealt with before.
        Due::Event(_) => {}
        Due::TimeOut(event) => {
            // As for an event's own timer.
            let _ = attributes::timed_out(outermost, EventId::from_word(event));
        }
        Due::Life(supervision) => supervision.due(outermost),
        Due::Watchdog => watchdog::feed(outermost),
    }
}
