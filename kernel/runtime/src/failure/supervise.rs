//! Contexts with failures that are not the image's, and their restart.
//!
//! Here is decided what becomes of one, and it is told: whether and when it begins again, and what its
//! watcher learns. What is kept of it, and the states of its life, are in `cpu::supervision`.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{kill, registry};
use crate::cpu::reason::{FailureReport, Reason, Text};
use crate::cpu::runtime::Runtime;
use crate::cpu::supervision::{Life, Supervision};
use crate::dispatch::event_core::{tell, with_core};
use crate::dispatch::section::{Section, section};
use crate::dispatch::timer;
use crate::event::activate::activate_deferred;
use crate::event::budget;
use crate::event::elsewhere::{ask, is_there};
use crate::failure::queue;
use core::fmt::Write;
use reflex_event::{ContextId, Error, EventId, Trouble};

pub use crate::cpu::options::{Backoff, OnFailure};

/// A context's last failure.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// Which it is.
    pub context: ContextId,
    /// What it is called.
    pub name: &'static str,
    /// Why it was given up.
    pub reason: Reason,
    /// What it said, if it said something.
    pub text: Text,
    /// How often it has failed, this time included.
    pub failures: u32,
    /// Bytes of the global heap that were lost with it this time.
    pub lost: u64,
    /// Bytes of its stack and event memory that were quarantined this time: nobody uses them again.
    pub quarantined: u64,
    /// Values that have been forgotten so far, each time included: code of the context had borrowed
    /// them when it was given up, and may have left them half changed.
    pub forgotten: u32,
}

impl Supervision {
    /// Gives up a context that has not come up at all.
    pub(crate) fn refused(&'static self, cs: &Section, error: Error) {
        let mut text = Text::EMPTY;
        let _ = write!(text, "{error}");
        self.reason.set(Reason::Refused);
        self.text.set(text);
        self.event.set(None);
        log::error!("{}", self.failure_report(cs));
        self.failed(cs);
    }

    /// The context has failed, and is down.
    pub(crate) fn failed(&'static self, cs: &Section) {
        self.life.set(Life::Down);
        self.tells.set(false);
        self.failures.set(self.failures.get().saturating_add(1));
        self.told.set(false);
        match self.on_failure.get() {
            OnFailure::Restart => self.restart_later(cs),
            OnFailure::Ignore | OnFailure::Halt => {}
        }
        self.inform(cs);
    }

    /// Sets the timer for the restart.
    pub(crate) fn restart_later(&'static self, cs: &Section) {
        let Backoff { initial, longest } = self.backoff.get();
        let now = timer::now();
        let wait = if now.since(self.since.get()) > longest.max(initial) {
            initial
        } else {
            self.wait.get()
        };
        self.wait.set(wait.saturating_mul(2).min(longest.max(initial)));
        // The timer is the context's for good.
        let _ = timer::arm(cs, self.timer.get(), now + wait, None);
    }

    /// Tells the watcher, if there is one.
    fn inform(&'static self, cs: &Section) {
        if self.told.get() {
            return;
        }
        let Some(watcher) = self.watcher.get() else { return };
        let Ok(info) = with_core(cs, |core| core.look_up(watcher)) else { return };
        self.told.set(true);
        let _ = activate_deferred(cs, watcher, 1);
        // The watcher's context exists, since its registration does.
        tell(cs, info.context, Trouble::HandlerStopped);
    }

    /// The context's timer has gone off.
    pub(crate) fn due(&'static self, cs: &Section) {
        match self.life.get() {
            Life::Up => budget::tick(cs, self),
            Life::Beginning | Life::Dying => {}
            Life::Down => queue::restart(cs, self),
        }
    }
}

impl Runtime {
    /// From now on `event` is activated whenever a context has failed and been cleaned up; at once
    /// if it is down and nobody has been told. The context of `event` is also told of
    /// [`Trouble::HandlerStopped`].
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's.
    pub fn watch(self, context: ContextId, event: EventId) -> Result<(), Error> {
        let done = section(|cs| {
            let supervision = registry::supervision(cs, context)?.ok_or(Error::NotAllowed)?;
            supervision.watcher.set(Some(event));
            if supervision.life.get() == Life::Down {
                // The one that was told may have failed while it was at it.
                let waits = supervision.on_failure.get() == OnFailure::Ignore;
                supervision.told.set(supervision.told.get() && !waits);
                supervision.inform(cs);
            }
            Ok(())
        });
        if is_there(context.core(), &done) {
            return ask(context.core(), move || self.watch(context, event));
        }
        done
    }

    /// The last failure of a context.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's, or it has not
    /// failed.
    pub fn stopped(self, context: ContextId) -> Result<Stopped, Error> {
        let done = section(|cs| {
            let supervision = registry::supervision(cs, context)?.ok_or(Error::NotAllowed)?;
            let failures = supervision.failures.get();
            if failures == 0 {
                return Err(Error::NotAllowed);
            }
            let FailureReport { context, name, reason, text, .. } = supervision.failure_report(cs);
            let (lost, quarantined) = (supervision.lost.get(), supervision.home.lost.get());
            let forgotten = supervision.forgotten.get();
            Ok(Stopped { context, name, reason, text, failures, lost, quarantined, forgotten })
        });
        if is_there(context.core(), &done) {
            return ask(context.core(), move || self.stopped(context));
        }
        done
    }

    /// Restarts a context that is down, after its back-off.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when it cannot be restarted, as it has no
    /// constructor; [`Error::Busy`] when it is not down.
    pub fn restart(self, context: ContextId) -> Result<(), Error> {
        let done = section(|cs| {
            let supervision = registry::supervision(cs, context)?.ok_or(Error::NotAllowed)?;
            if supervision.constructor.get().is_none() {
                return Err(Error::NotAllowed);
            }
            if supervision.life.get() != Life::Down {
                return Err(Error::Busy);
            }
            supervision.restart_later(cs);
            Ok(())
        });
        if is_there(context.core(), &done) {
            return ask(context.core(), move || self.restart(context));
        }
        done
    }

    /// Gives a context up as if it had failed.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's.
    pub fn give_up(self, context: ContextId) -> Result<(), Error> {
        let done = section(|cs| kill::request(cs, context));
        if is_there(context.core(), &done) {
            return ask(context.core(), move || self.give_up(context));
        }
        done
    }
}
