//! What becomes of a timer that has expired.

use crate::cpu::job::Job;
use crate::cpu::timers::Due;
use crate::dispatch::section::{Outermost, Start};
use crate::dispatch::timer::Timekeeping;
use crate::dispatch::{timer, watchdog};
use crate::event::activate::{activate_deferred, activate_held};
use crate::event::attributes;
use reflex_event::{Error, EventId, Instant};

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
    timer::init(start, time, limit, job)
}

/// The timer's interrupt, which has found no section open. Mostly there is one timer that is due, and that is all:
/// each instruction of that counts.
#[inline(always)]
pub(crate) fn interrupt(outermost: &mut Outermost) {
    let now = timer::now();
    match timer::step_only(outermost, now) {
        Some(Due::Event(event)) => {
            let _ = activate_held(outermost, EventId::from_word(event), 1);
        }
        Some(due) => carry_out(outermost, due),
        None => expire_at(outermost, now, When::Now),
    }
}

/// Expires a timer and sets the next interrupt.
///
/// When more timers are due the job is posted, and the context that has become the best to run is
/// not kept waiting by the others' expiries.
pub(crate) fn expire(outermost: &mut Outermost, when: When) {
    expire_at(outermost, timer::now(), when);
}

#[inline(never)]
fn expire_at(outermost: &mut Outermost, now: Instant, when: When) {
    let Some((due, count)) = timer::step(outermost, now) else { return };
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
