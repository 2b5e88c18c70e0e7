//! What is known of contexts that fail alone.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::registry;
use crate::cpu::budget::Budget;
use crate::cpu::context::ContextBlock;
use crate::cpu::home::Home;
use crate::cpu::options::{Backoff, ContextOptions};
use crate::cpu::reason::{FailureReport, Reason, Text};
use crate::cpu::registers::Registers;
use crate::cpu::supervision::{Life, Phase, Supervision};
use crate::cpu::timers::Due;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::Section;
use crate::dispatch::timer;
use alloc::boxed::Box;
use core::cell::Cell;
use core::ptr::NonNull;
use core::time::Duration;
use reflex_event::{ContextId, Error, TimerId};

const SHORTEST: Duration = Duration::from_millis(1);

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
        lost: Cell::new(0),
        failures: Cell::new(0),
        ended_lives: Cell::new(0),
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
pub(crate) fn living(place: &ContextBlock) -> Result<Option<&'static Supervision>, Error> {
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
pub(crate) fn ended_lives(cs: &Section, context: ContextId) -> Result<u64, Error> {
    Ok(registry::supervision(cs, context)?.map_or(0, |supervision| supervision.ended_lives.get()))
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

    pub(crate) fn failure_report(&self, cs: &Section) -> FailureReport {
        let context = self.context(cs);
        let name = registry::get(cs, context).map_or("", |place| place.name);
        let (event, reason, text) = (self.event.get(), self.reason.get(), self.text.get());
        FailureReport { context, name, event, reason, text }
    }

    /// The context that is told of failures.
    pub(crate) fn watcher_context(&self, cs: &Section) -> Option<ContextId> {
        let watcher = self.watcher.get()?;
        with_core(cs, |core| core.look_up(watcher)).ok().map(|info| info.context)
    }

    /// The context's cell and state are others now.
    pub(crate) fn replaced(&self, blocks: [NonNull<()>; 2]) {
        // Of those that are not restarted nothing is noted.
        if self.constructor.get().is_some() {
            self.blocks.set(blocks.map(Some));
        }
    }

    /// A new life begins.
    pub(crate) fn started(&self, _: &Section) {
        self.life.set(Life::Up);
        self.since.set(timer::now());
    }
}
