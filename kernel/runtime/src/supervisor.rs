//! The supervisor: the kernel's own context, in which what failed contexts leave behind is cleaned
//! up, and restarts are begun.
//!
//! It works at the priority of the handler that failed, some bounded [steps](crate::estate) a run.
//! What handlers have captured is application's code when it is dropped: when that fails too, the
//! supervisor itself is given up. It has no state, and goes on behind it.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::cpu::options::{ContextOptions, OnFailure, Origin};
use crate::cpu::set::ContextSet;
use crate::cpu::supervision::{Phase, Supervision};
use crate::cpu::supervisor::Supervisor;
use crate::dispatch::{activate_deferred, note, with_core};
use crate::quarantine::SUPERVISOR_STACK;
use crate::runtime::Runtime;
use crate::section::{Section, section};
use crate::{birth, cpu, guard, quarantine, registry, report, timer};
use alloc::boxed::Box;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use reflex_event::{Context, ContextId, Error, EventId, EventSystem, Priority, Registration};

/// Steps of cleaning up before others of the same priority have their turn.
const STEPS: u32 = 32;

/// The lowest priority of cleaning up, and that of printing: `main` need not come to an end for it.
const LEAST: Priority = match Priority::new(1) {
    Some(priority) => priority,
    None => unreachable!(),
};

/// How long what a handler has captured may take to be dropped.
const PATIENCE: Duration = Duration::from_millis(100);

/// Makes the supervisor, unless there is one. A cold path.
pub(crate) fn ensure() -> Result<(), Error> {
    if cpu::this().supervisor_made.swap(true, Relaxed) {
        return Ok(());
    }
    let made = make(Runtime::KERNEL);
    if made.is_err() {
        cpu::this().supervisor_made.store(false, Relaxed);
    }
    made
}

fn make(kernel: Runtime) -> Result<(), Error> {
    let mut options = ContextOptions { memory: 4 << 10, ..ContextOptions::new("supervisor") };
    options.stack = SUPERVISOR_STACK;
    options.origin = Origin::System;
    options.on_failure = OnFailure::Ignore;
    options.policy.budget = Some(PATIENCE);
    let context = registry::add(options, ())?;
    let registration = Registration { priority: LEAST, ..Registration::default() };
    let work = kernel.register(context, registration, |(), _| work())?;
    let print = kernel.register(context, registration, |(), _| {
        if report::print() {
            print();
        }
    })?;
    section(|cs| {
        cpu::this().supervisor.with(cs, |supervisor| {
            supervisor.context = Some(context);
            (supervisor.work, supervisor.print) = (Some(work), Some(print));
        });
        // Somebody may have failed meanwhile.
        activate(cs, |supervisor| supervisor.work);
    });
    Ok(())
}

/// Activates one of the supervisor's events, if there is one.
fn activate(cs: &Section, which: impl FnOnce(&Supervisor) -> Option<EventId>) {
    if let Some(event) = cpu::this().supervisor.with(cs, |supervisor| which(supervisor)) {
        // It is registered for good; an overrun means that it is about to run.
        let _ = activate_deferred(cs, event, 1);
    }
}

/// The supervisor's context, when it has been made.
fn own(cs: &Section) -> Option<Context<()>> {
    cpu::this().supervisor.with(cs, |supervisor| supervisor.context)
}

/// Whether a context is the supervisor.
pub(crate) fn is_supervisor(cs: &Section, context: ContextId) -> bool {
    own(cs).is_some_and(|own| own.id() == context)
}

/// Says what has become of the supervisor itself, which goes on.
fn tell_own_failure() {
    let own = section(|cs| registry::supervision(cs, own(cs)?.id()).ok().flatten());
    if let Some(own) = own {
        log::error!("{}", section(|cs| own.obituary(cs)));
        own.tells.set(false);
        // Not where a panic would be the supervisor's.
        guard::guarded(|| quarantine::add(own.home.lost.take()));
    }
}

/// The supervisor has been given up, and is to go on.
pub(crate) fn go_on(cs: &Section, supervision: &'static Supervision) {
    cpu::this().supervisor_failed.store(true, Relaxed);
    let dead = cpu::this().supervisor.with(cs, |supervisor| supervisor.heir_of.take());
    // What has failed was code of the dead context's, on this stack.
    if dead.is_some_and(|dead| !dead.home.reuse.is_at_once()) {
        quarantine::change_stack(cs, supervision);
    }
    if let Some(context) = own(cs)
        && let Ok((_, state)) = registry::parts(cs, context.id())
        && let Some(cell) = state.downcast::<()>()
    {
        // SAFETY: the cell lives for ever; nobody is at it, as no handler of the context runs.
        unsafe { cell.as_ref() }.put(Box::leak(Box::new(())));
    }
    activate(cs, |supervisor| supervisor.work);
    activate(cs, |supervisor| supervisor.print);
}

/// A context has been given up: it is to be cleaned up, at `priority`.
pub(crate) fn bury(cs: &Section, supervision: &'static Supervision, priority: Priority) {
    supervision.phase.set(Phase::FIRST);
    supervision.deaths.set(supervision.deaths.get() + 1);
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

/// Says whose captures the supervisor drops.
pub(crate) fn set_heir_of(dead: Option<&'static Supervision>) {
    section(|cs| cpu::this().supervisor.with(cs, |supervisor| supervisor.heir_of = dead));
}

/// Whose captures the supervisor drops.
pub(crate) fn heir_of(cs: &Section) -> Option<&'static Supervision> {
    cpu::this().supervisor.with(cs, |supervisor| supervisor.heir_of)
}

/// Whether there may be contexts that are supervised.
pub(crate) fn is_made() -> bool {
    cpu::this().supervisor_made.load(Relaxed)
}

/// The supervisor's work: some steps of cleaning up, and restarts.
fn work() {
    if cpu::this().supervisor_failed.swap(false, Relaxed) {
        tell_own_failure();
    }
    for _ in 0..STEPS {
        let next = section(|cs| {
            cpu::this().supervisor.with(cs, |supervisor| {
                let first = |set: ContextSet| set.indices().next();
                if let Some(index) = first(supervisor.dying) {
                    return Some((index, false));
                }
                let index = first(supervisor.due)?;
                supervisor.due.remove(index);
                Some((index, true))
            })
        });
        let Some((index, due)) = next else { return };
        let supervision = section(|cs| registry::supervision(cs, registry::name(cs, index)?));
        let Ok(Some(supervision)) = supervision else { continue };
        if due {
            guard::guarded(|| birth::begin(supervision));
        } else {
            supervision.step();
        }
    }
    section(|cs| activate(cs, |supervisor| supervisor.work));
}
