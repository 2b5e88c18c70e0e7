//! The children of a cloner, as far as nothing is activated for what becomes of them.
//!
//! They are borrowed in a section, together with the core, and never while anything else is called:
//! what a change of them leads to is [carried out](crate::event::activate::carry_out) when the borrow has ended,
//! since an activation may run a filter, which is an application's code.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::cpu::handler::EventCore;
use crate::cpu::local::Local;
use crate::cpu::workers::{WorkerPool, WorkerRef};
use crate::dispatch::event_core::{note, timestamp, with_core};
use crate::dispatch::section::{Section, section};
use reflex_event::{Activation, Begin, EventId, Info};

/// Runs `work` on a worker pool and the core. It calls nothing but these two.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn with<R>(
    cs: &Section,
    workers: &Local<WorkerPool>,
    work: impl FnOnce(&mut WorkerPool, &mut EventCore) -> R,
) -> R {
    workers.with(cs, |workers| with_core(cs, |core| work(workers, core)))
}

impl WorkerRef {
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn with<R>(
        self,
        cs: &Section,
        work: impl FnOnce(&mut WorkerPool, &mut EventCore, u16) -> R,
    ) -> R {
        with(cs, self.workers, |workers, core| work(workers, core, self.number))
    }

    /// The child's start event has been activated: what for.
    #[inline]
    pub(crate) fn begin(self) -> Begin {
        section(|cs| {
            let (begin, outcome) = self
                .with(cs, |workers, core, number| workers.children.begin(core, number, timestamp));
            note(outcome);
            begin
        })
    }

    /// The child's handler has returned: whether its life is over, as it has no registrations.
    #[inline]
    pub(crate) fn returned(self) -> bool {
        section(|cs| self.with(cs, |workers, core, number| workers.children.returned(core, number)))
    }

    /// The child has been given up.
    pub(crate) fn failed(self, cs: &Section) {
        note(
            self.with(cs, |workers, core, number| workers.children.failed(core, number, timestamp)),
        );
    }
}

/// Gives an occurrence of the cloner's event to an idle child, if there is one, nobody waits before
/// it, and it is for one child. Returns whether it has, and the event that is to be activated for it.
pub(crate) fn offer(
    cs: &Section,
    workers: &'static Local<WorkerPool>,
    info: Info,
    activation: Activation,
) -> Option<Option<EventId>> {
    let offered = with(cs, workers, |workers, core| {
        workers.children.offer(core, info, activation, timestamp)
    })?;
    note(offered.outcome);
    Some(offered.activate)
}
