//! Contexts whose failure is not the image's, and their restart.
//!
//! ```text
//!            constructed               fails                  cleaned up
//!   Down ───────────────▶ Up ────────────────────▶ Dying ──────────────────▶ Down
//!    ▲  restart, after a   (see `contain`)          the supervisor's steps    │
//!    └──────────────── back-off ◀─────────────────────────────────────────────┘
//! ```
//!
//! Giving up is `contain`'s, cleaning up is the [supervisor](crate::supervisor)'s, the beginning of a
//! life is `birth`'s. Here is what they have in common: what is kept of such a context, and what is
//! decided about it.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::cpu::budget::Budget;
use crate::cpu::context::Place;
use crate::cpu::home::Home;
use crate::cpu::options::ContextOptions;
use crate::cpu::reason::{Obituary, Reason, Text};
use crate::cpu::registers::Registers;
use crate::cpu::supervision::{Life, Phase, Supervision};
use crate::cpu::timers::Due;
use crate::dispatch::{activate_deferred, with_core};
use crate::runtime::Runtime;
use crate::section::{Section, section};
use crate::{budget, contain, registry, supervisor, timer};
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt::Write;
use core::ptr::NonNull;
use core::time::Duration;
use reflex_event::{ContextId, Error, EventId, EventSystem, TimerId, Trouble};

pub use crate::cpu::options::{Backoff, OnFailure};

pub use crate::estate::{account_heap, lost_heap};

const SHORTEST: Duration = Duration::from_millis(1);

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
    /// The context's present name.
    pub(crate) fn context(&self, cs: &Section) -> ContextId {
        let index = self.index.get();
        // A context does not cease to exist.
        registry::name(cs, index).unwrap_or(ContextId::new(index, 0))
    }

    /// Counts values that are forgotten.
    pub(crate) fn forget(&self, values: u32) {
        self.forgotten.set(self.forgotten.get().saturating_add(values));
    }

    pub(crate) fn obituary(&self, cs: &Section) -> Obituary {
        let context = self.context(cs);
        let name = registry::at(cs, context).map_or("", |place| place.name);
        let (event, reason, text) = (self.event.get(), self.reason.get(), self.text.get());
        Obituary { context, name, event, reason, text }
    }
}

/// Makes what is kept of a context that is to be made with `options`, if anything is.
pub(crate) fn prepare(
    options: &ContextOptions,
    home: Home,
) -> Result<Option<&'static Supervision>, Error> {
    let ContextOptions { on_failure, backoff, policy, .. } = *options;
    if !options.is_supervised() {
        return Ok(None);
    }
    let backoff = Backoff { initial: backoff.initial.max(SHORTEST), ..backoff };
    let supervision: &'static Supervision = Box::leak(Box::new(Supervision {
        index: Cell::new(u16::MAX),
        on_failure: Cell::new(on_failure),
        life: Cell::new(Life::Up),
        reason: Cell::new(Reason::Requested),
        text: Cell::new(Text::EMPTY),
        tells: Cell::new(false),
        event: Cell::new(None),
        registers: Cell::new(Registers::NONE),
        unfinished: Cell::new(None),
        scopes: Cell::new(None),
        forgotten: Cell::new(0),
        phase: Cell::new(Phase::FIRST),
        home,
        constructor: Cell::new(None),
        blocks: Cell::new([None; 2]),
        // Another's, until this one has been made: the two name each other.
        timer: Cell::new(TimerId { index: 0, generation: 0 }),
        budget: Budget::new(policy.budget),
        heap: Cell::new(0),
        lost: Cell::new(0),
        failures: Cell::new(0),
        deaths: Cell::new(0),
        backoff: Cell::new(backoff),
        wait: Cell::new(backoff.initial),
        since: Cell::new(timer::now()),
        watcher: Cell::new(None),
        told: Cell::new(true),
    }));
    supervision.timer.set(timer::with_room(|cs| timer::add(cs, Due::Life(supervision)))?);
    Ok(Some(supervision))
}

/// What is kept of a context that may be registered with.
///
/// # Errors
/// [`Error::Busy`] when it has been given up and not been restarted.
pub(crate) fn living(place: &Place) -> Result<Option<&'static Supervision>, Error> {
    let Some(supervision) = place.supervision else { return Ok(None) };
    match supervision.life.get() {
        Life::Beginning | Life::Up => Ok(Some(supervision)),
        Life::Dying | Life::Down => Err(Error::Busy),
    }
}

/// Whether a context's handlers may run.
///
/// # Errors
/// [`Error::Busy`] when it is held until its life begins.
pub(crate) fn up(cs: &Section, context: ContextId) -> Result<(), Error> {
    let Some(supervision) = registry::supervision(cs, context)? else { return Ok(()) };
    match supervision.life.get() {
        Life::Up => Ok(()),
        Life::Beginning | Life::Dying | Life::Down => Err(Error::Busy),
    }
}

/// How often a context has been given up.
pub(crate) fn deaths(cs: &Section, context: ContextId) -> Result<u64, Error> {
    Ok(registry::supervision(cs, context)?.map_or(0, |supervision| supervision.deaths.get()))
}

impl Supervision {
    /// Gives up a context that has not come up at all.
    pub(crate) fn refused(&'static self, cs: &Section, error: Error) {
        let mut text = Text::EMPTY;
        let _ = write!(text, "{error}");
        self.reason.set(Reason::Refused);
        self.text.set(text);
        self.event.set(None);
        log::error!("{}", self.obituary(cs));
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

    /// The context that is told of failures.
    pub(crate) fn watcher_context(&self, cs: &Section) -> Option<ContextId> {
        let watcher = self.watcher.get()?;
        with_core(cs, |core| core.look_up(watcher)).ok().map(|info| info.context)
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
        let _ = Runtime::KERNEL.report(info.context, Trouble::HandlerStopped);
    }

    /// The context's timer has gone off.
    pub(crate) fn due(&'static self, cs: &Section) {
        match self.life.get() {
            Life::Up => budget::tick(cs, self),
            Life::Beginning | Life::Dying => {}
            Life::Down => supervisor::restart(cs, self),
        }
    }

    /// The context's cell and state are others now.
    pub(crate) fn replaced(&self, blocks: [NonNull<()>; 2]) {
        // Of those that are not restarted nothing is noted.
        if self.constructor.get().is_some() {
            self.blocks.set(blocks.map(Some));
        }
    }

    /// A new life begins.
    pub(crate) fn born(&self, _: &Section) {
        self.life.set(Life::Up);
        self.since.set(timer::now());
        self.heap.set(0);
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
        section(|cs| {
            let supervision = registry::supervision(cs, context)?.ok_or(Error::NotAllowed)?;
            supervision.watcher.set(Some(event));
            if supervision.life.get() == Life::Down {
                // Whoever was told may have failed while it was at it.
                let waits = supervision.on_failure.get() == OnFailure::Ignore;
                supervision.told.set(supervision.told.get() && !waits);
                supervision.inform(cs);
            }
            Ok(())
        })
    }

    /// The last failure of a context.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's, or it has not
    /// failed.
    pub fn stopped(self, context: ContextId) -> Result<Stopped, Error> {
        section(|cs| {
            let supervision = registry::supervision(cs, context)?.ok_or(Error::NotAllowed)?;
            let failures = supervision.failures.get();
            if failures == 0 {
                return Err(Error::NotAllowed);
            }
            let Obituary { context, name, reason, text, .. } = supervision.obituary(cs);
            let (lost, quarantined) = (supervision.lost.get(), supervision.home.lost.get());
            let forgotten = supervision.forgotten.get();
            Ok(Stopped { context, name, reason, text, failures, lost, quarantined, forgotten })
        })
    }

    /// Restarts a context that is down, after its back-off.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when it cannot be restarted, as it has no
    /// constructor; [`Error::Busy`] when it is not down.
    pub fn restart(self, context: ContextId) -> Result<(), Error> {
        section(|cs| {
            let supervision = registry::supervision(cs, context)?.ok_or(Error::NotAllowed)?;
            if supervision.constructor.get().is_none() {
                return Err(Error::NotAllowed);
            }
            if supervision.life.get() != Life::Down {
                return Err(Error::Busy);
            }
            supervision.restart_later(cs);
            Ok(())
        })
    }

    /// Gives a context up as if it had failed.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's.
    pub fn give_up(self, context: ContextId) -> Result<(), Error> {
        section(|cs| contain::request(cs, context))
    }
}
