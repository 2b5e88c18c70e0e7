//! Deadlines: by when a handler is to have ended, counted from its event's activation.
//!
//! A deadline missed is told to the context as trouble, when the handler has ended; nothing is cut
//! short because of it. The calls of such events' handlers are diverted for this; nobody else pays
//! for it.

use crate::bound::{Call, Handler, Header};
use crate::dispatch::{note, timestamp, with_core};
use crate::runtime::Runtime;
use crate::section::{Section, section};
use crate::{extras, timer};
use core::ptr::NonNull;
use core::time::Duration;
use reflex_event::{Error, EventId, Trait, Trouble};

impl Runtime {
    /// From now on the event's handler is to have ended `within` a time from the activation of the
    /// oldest occurrence it is told of. When it has not, [`Trouble::DeadlineMissed`] is reported to
    /// its context. `None` lifts that. Times are in whole microseconds, up to 71 minutes.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::OutOfMemory`].
    pub fn set_deadline(self, event: EventId, within: Option<Duration>) -> Result<(), Error> {
        let micros =
            within.map(|within| u32::try_from(within.as_micros()).unwrap_or(u32::MAX).max(1));
        section(|cs| set(cs, event, micros.unwrap_or(0)))
    }
}

///
fn set(cs: &Section, event: EventId, micros: u32) -> Result<(), Error> {
    let extras = extras::of(cs, event)?;
    extras.deadline.set(micros);
    let handler = with_core(cs, |core| {
        core.set_trait(event, Trait::Timed, micros != 0)?;
        core.handler(event)
    })?;
    match (extras.diverted.get(), micros) {
        (None, 1..) => {
            // SAFETY: the registration is live, so its handler is; `timed` calls what was called.
            extras.diverted.set(Some(unsafe { handler.divert(timed) }));
        }
        (Some(former), 0) => {
            extras.diverted.set(None);
            // SAFETY: as above; it is what was called before.
            unsafe { handler.divert(former) };
        }
        _ => {}
    }
    Ok(())
}

/// Calls a handler that has a deadline.
///
/// # Safety
/// As for what it would be called by otherwise.
unsafe extern "C" fn timed(header: NonNull<Header>, event: u64, count: u32) {
    // SAFETY: the handler is being called, so it has not been released, nor have its extras.
    let (extras, own) = unsafe {
        let handler = Handler::new(header);
        (handler.extras(), handler.kind().call)
    };
    let call: Call = extras.and_then(|extras| extras.diverted.get()).unwrap_or(own);
    let micros = extras.map_or(0, |extras| extras.deadline.get());
    // SAFETY: the caller's duty.
    unsafe { call(header, event, count) };
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
