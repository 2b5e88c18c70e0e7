//! Activation: an occurrence joins its context's queue, or its handler is started on the spot.

use crate::cpu::deferral::{Entered, Outermost, Section};
use crate::cpu::handler::Handler;
use crate::dispatch::event_core::{borrow_core, note, timestamp};
use crate::dispatch::send;
use crate::dispatch::switch::{begin_on, go_on, preempt};
use crate::event::filter;
use reflex_event::{Chosen, Effects, Error, EventId, Outcome, Resume, Start};

/// Activates `event`; a handler that is due at once is started on the spot.
#[inline(always)]
pub(crate) fn activate(event: EventId, count: u32) -> Result<(), Error> {
    match Outermost::open() {
        Ok(mut outermost) => {
            let result = activate_held(&mut outermost, event, count);
            outermost.leave();
            result
        }
        // A section of its own: where a filter activates, what goes wrong in here is not its.
        Err(inner) => inner.section(|cs| activate_deferred(cs, event, count)),
    }
}

/// Activates what `choose` names, in the section in which it does. True when it has named something.
#[inline(always)]
pub(crate) fn activate_by(choose: impl FnOnce() -> Option<(EventId, u32)>) -> bool {
    let chosen = choose_by(choose, |mut outermost, event, count| {
        let _ = activate_held(&mut outermost, event, count);
        outermost.leave();
        Chosen::Queued
    });
    chosen != Chosen::Nothing
}

/// [`activate_by`], by a caller that yields to its equals.
#[inline(always)]
pub(crate) fn yield_by(choose: impl FnOnce() -> Option<(EventId, u32)>) -> Chosen {
    choose_by(choose, |mut outermost, event, count| {
        let start = borrow_core(&outermost).start_yielding(event, count);
        match start {
            Some(start) => {
                begin(&mut outermost, start);
                outermost.leave();
                Chosen::Begun
            }
            None => {
                let _ = activate_queued(&mut outermost, event, count);
                outermost.leave();
                Chosen::Queued
            }
        }
    })
}

/// Runs `choose` in a section, and activates what it has named before that ends: by `held` in the outermost
/// section, which it leaves, wherever it knows what it has come to.
#[inline(always)]
fn choose_by(
    choose: impl FnOnce() -> Option<(EventId, u32)>,
    held: impl FnOnce(Outermost, EventId, u32) -> Chosen,
) -> Chosen {
    let entered = Entered::open();
    // Called in one place, so that it is a part of the caller.
    let chosen = choose();
    match entered.outermost() {
        Ok(outermost) => match chosen {
            Some((event, count)) => held(outermost, event, count),
            None => {
                outermost.leave();
                Chosen::Nothing
            }
        },
        Err(entered) => {
            if let Some((event, count)) = chosen {
                let _ = activate_deferred(&entered, event, count);
            }
            entered.leave_inner();
            if chosen.is_some() { Chosen::Queued } else { Chosen::Nothing }
        }
    }
}

/// Activates `event` in the outermost section, which stays open.
#[inline(always)]
pub(crate) fn activate_held(
    outermost: &mut Outermost,
    event: EventId,
    count: u32,
) -> Result<(), Error> {
    let start = borrow_core(outermost).start_at_once(event, count);
    match start {
        Some(start) => {
            begin(outermost, start);
            Ok(())
        }
        None => activate_queued(outermost, event, count),
    }
}

/// Begins a handler on its context's empty stack. Returns when the present context is the best again.
#[inline(always)]
fn begin(outermost: &mut Outermost, start: Start<Handler>) {
    let Start { from, to, handler, activation } = start;
    let words = [handler.into_word(), activation.event.into_word(), u64::from(activation.count)];
    begin_on(outermost, from, to.place(), words);
}

/// Activates `event` in the outermost section, when its handler cannot be begun on the spot; and
/// goes to the context that has become the best to run by that.
#[inline(never)]
fn activate_queued(outermost: &mut Outermost, event: EventId, count: u32) -> Result<(), Error> {
    let resume = borrow_core(outermost).resume_at_once(event, count);
    if let Some(Resume { from, to }) = resume {
        go_on(outermost, from, to);
        return Ok(());
    }
    let activated = borrow_core(outermost).activate(event, count, timestamp);
    let outcome = match activated {
        Ok(outcome) => outcome,
        Err(error) => return elsewhere(outermost, event, count, error),
    };
    match outcome {
        Outcome::Continue => {}
        Outcome::Preempt => preempt(outermost),
        Outcome::Watched => {
            if let Some(event) = filter::occurred(outermost, event, count)? {
                return activate_held(outermost, event, 1);
            }
        }
    }
    Ok(())
}

/// An event was not activated here, for this reason: if it is another core's, that is told.
#[cold]
#[inline(never)]
fn elsewhere(cs: &Section, event: EventId, count: u32, error: Error) -> Result<(), Error> {
    if error == Error::Stale && send::is_elsewhere(event.core()) {
        send::activate(cs, event, count)
    } else {
        Err(error)
    }
}

/// Activates `event` in a section; its handler runs when that ends, at the earliest.
#[inline(never)]
pub(crate) fn activate_deferred(cs: &Section, event: EventId, count: u32) -> Result<(), Error> {
    let activated = borrow_core(cs).activate(event, count, timestamp);
    let outcome = match activated {
        Ok(outcome) => outcome,
        Err(error) => return elsewhere(cs, event, count, error),
    };
    if outcome == Outcome::Watched {
        return match filter::occurred(cs, event, count)? {
            Some(event) => activate_deferred(cs, event, 1),
            None => Ok(()),
        };
    }
    note(outcome);
    Ok(())
}

/// Carries out what a change has led to: in the section of the change, with nothing borrowed.
#[inline(always)]
pub(crate) fn carry_out(cs: &Section, Effects { outcome, activate }: Effects) {
    note(outcome);
    if let Some(event) = activate {
        begin_deferred(cs, event);
    }
}

/// Activates an event that may have been ended.
pub(crate) fn begin_deferred(cs: &Section, event: EventId) {
    let _ = activate_deferred(cs, event, 1);
}
