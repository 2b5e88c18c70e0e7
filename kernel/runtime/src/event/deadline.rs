//! Deadlines: by when a handler is to have ended, counted from its event's activation.
//!
//! A deadline missed is told to the context as trouble, when the handler has ended; nothing is cut
//! short because of it. Such events' handlers are [called](crate::event::calls) by way of this; nobody else
//! pays for it.

use crate::cpu::handler::{Called, Way};
use crate::dispatch::event_core::{note, timestamp, with_core};
use crate::dispatch::section::section;
use crate::dispatch::timer;
use crate::event::budget::Limited;
use core::time::Duration;
use reflex_event::Trouble;

/// The way of handlers that have a deadline.
pub(crate) struct Timed;

impl Way for Timed {
    fn call(called: Called) {
        within(called, Called::own);
    }
}

/// The way of handlers that have a deadline, and a limited time too.
pub(crate) struct TimedAndLimited;

impl Way for TimedAndLimited {
    fn call(called: Called) {
        within(called, Limited::call);
    }
}

fn within(called: Called, call: impl FnOnce(Called)) {
    let micros = called.attributes().map_or(0, |attributes| attributes.deadline.get());
    call(called);
    check(micros);
}

/// The running handler has ended, and was to do so in the given time.
fn check(micros: u32) {
    let now = timestamp();
    section(|cs| {
        let (context, since) = with_core(cs, |core| (core.running(), core.since()));
        let (Some(context), Some(since)) = (context, since) else { return };
        let taken = timer::at(now).since(timer::at(since));
        if micros != 0 && taken > Duration::from_micros(micros.into()) {
            // A running context exists.
            let told = with_core(cs, |core| core.report(context, Trouble::DeadlineMissed, now));
            if let Ok(outcome) = told {
                note(outcome);
            }
        }
    });
}
