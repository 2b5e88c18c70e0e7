//! What the supervisor is to do: which contexts it cleans up and restarts, and at what priority.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::registry;
use crate::cpu;
use crate::cpu::supervision::{Phase, Supervision};
use crate::cpu::supervisor::Supervisor;
use crate::dispatch::event_core::{note, with_core};
use crate::dispatch::section::{Section, section};
use crate::dispatch::timer;
use crate::event::activate::activate_deferred;
use crate::failure::quarantine;
use alloc::boxed::Box;
use core::sync::atomic::Ordering::Relaxed;
use reflex_event::{Context, ContextId, EventId, Priority};

/// The lowest priority of cleaning up, and that of printing: `main` need not come to an end for it.
pub(crate) const LEAST: Priority = match Priority::new(1) {
    Some(priority) => priority,
    None => unreachable!(),
};

/// Activates one of the supervisor's events, if there is one.
pub(crate) fn activate(cs: &Section, which: impl FnOnce(&Supervisor) -> Option<EventId>) {
    if let Some(event) = cpu::this().supervisor.with(cs, |supervisor| which(supervisor)) {
        // It is registered for good; an overrun means that it is about to run.
        let _ = activate_deferred(cs, event, 1);
    }
}

/// The supervisor's context, when it has been made.
pub(crate) fn own(cs: &Section) -> Option<Context<()>> {
    cpu::this().supervisor.with(cs, |supervisor| supervisor.context)
}

/// Whether a context is the supervisor.
pub(crate) fn is_supervisor(cs: &Section, context: ContextId) -> bool {
    own(cs).is_some_and(|own| own.id() == context)
}

/// The supervisor has been given up, and is to go on.
pub(crate) fn go_on(cs: &Section, supervision: &'static Supervision) {
    cpu::this().supervisor_failed.store(true, Relaxed);
    let dead = cpu::this().supervisor.with(cs, |supervisor| supervisor.drops_for.take());
    // What has failed was code of the dead context's, on this stack.
    if dead.is_some_and(|dead| !dead.home.reuse.is_at_once()) {
        quarantine::change_stack(cs, supervision);
    }
    if let Some(context) = own(cs)
        && let Ok((_, state)) = registry::state_and_pool(cs, context.id())
        && let Some(cell) = state.downcast::<()>()
    {
        // SAFETY: the cell lives for ever; nobody is at it, as no handler of the context runs.
        unsafe { cell.as_ref() }.put(Box::leak(Box::new(())));
    }
    activate(cs, |supervisor| supervisor.work);
    activate(cs, |supervisor| supervisor.print);
}

/// A context has been given up: it is to be cleaned up, at `priority`.
pub(crate) fn add(cs: &Section, supervision: &'static Supervision, priority: Priority) {
    supervision.phase.set(Phase::FIRST);
    supervision.ended_lives.set(supervision.ended_lives.get() + 1);
    let work = cpu::this().supervisor.with(cs, |supervisor| {
        supervisor.dying.insert(supervision.index.get());
        supervisor.work
    });
    let _ = timer::disarm(cs, supervision.timer.get());
    let raised = work.and_then(|work| {
        with_core(cs, |core| {
            let info = core.look_up(work).ok()?;
            let idle = info.pending == 0 && !info.runs;
            (idle || priority > info.registration.priority)
                .then(|| core.set_priority(work, priority.max(LEAST)))
        })
    });
    if let Some(Ok(outcome)) = raised {
        note(outcome);
    }
    activate(cs, |supervisor| supervisor.work);
}

/// A context that is down is to be restarted.
pub(crate) fn restart(cs: &Section, supervision: &'static Supervision) {
    cpu::this().supervisor.with(cs, |supervisor| supervisor.due.insert(supervision.index.get()));
    activate(cs, |supervisor| supervisor.work);
}

/// A context has been cleaned up.
pub(crate) fn cleaned_up(cs: &Section, supervision: &'static Supervision) {
    cpu::this().supervisor.with(cs, |supervisor| supervisor.dying.remove(supervision.index.get()));
}

/// Has the report printed that was taken down.
pub(crate) fn print() {
    section(|cs| activate(cs, |supervisor| supervisor.print));
}

/// Says of which context the supervisor drops captures.
pub(crate) fn set_drops_for(dead: Option<&'static Supervision>) {
    section(|cs| cpu::this().supervisor.with(cs, |supervisor| supervisor.drops_for = dead));
}

/// The context of which the supervisor drops captures.
pub(crate) fn drops_for(cs: &Section) -> Option<&'static Supervision> {
    cpu::this().supervisor.with(cs, |supervisor| supervisor.drops_for)
}

/// Whether there may be contexts that are supervised.
pub(crate) fn is_made() -> bool {
    cpu::this().supervisor_made.load(Relaxed)
}
