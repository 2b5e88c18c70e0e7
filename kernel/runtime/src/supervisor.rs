//! The supervisor: the kernel's own context, in which what failed contexts leave behind is cleaned
//! up, and restarts are begun.
//!
//! It works at the priority of the handler that failed, some bounded [steps](crate::estate) a run.
//! What handlers have captured is application's code when it is dropped: when that fails too, the
//! supervisor itself is given up. It has no state, and goes on behind it.

use crate::dispatch::{CORE, activate_deferred, note};
use crate::estate::Phase;
use crate::exclude::ContextSet;
use crate::local::Local;
use crate::policy::Origin;
use crate::registry::{self, ContextOptions};
use crate::runtime::Runtime;
use crate::section::section;
use crate::supervise::{OnFailure, Supervision};
use crate::{birth, guard, report, timer};
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use reflex_event::{Context, ContextId, Error, EventId, Kernel, Priority, Registration};

/// The supervisor's events, and who waits for it.
struct Supervisor {
    context: Option<Context<()>>,
    work: Option<EventId>,
    print: Option<EventId>,
    /// Contexts to be cleaned up.
    dying: ContextSet,
    /// Contexts to be restarted.
    due: ContextSet,
    /// Whose handlers' captures are being dropped.
    heir_of: Option<&'static Supervision>,
}

/// Reached only in a section.
static SUPERVISOR: Local<Supervisor> = Local::new(Supervisor {
    context: None,
    work: None,
    print: None,
    dying: ContextSet::NONE,
    due: ContextSet::NONE,
    heir_of: None,
});

/// The supervisor has been made, or is being made.
static MADE: AtomicBool = AtomicBool::new(false);

/// The supervisor itself has been given up, and nobody has been told.
static FAILED: AtomicBool = AtomicBool::new(false);

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
    if MADE.swap(true, Relaxed) {
        return Ok(());
    }
    let made = make(Runtime::KERNEL);
    if made.is_err() {
        MADE.store(false, Relaxed);
    }
    made
}

fn make(kernel: Runtime) -> Result<(), Error> {
    let mut options = ContextOptions { memory: 4 << 10, ..ContextOptions::new("supervisor") };
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
    section(|| {
        // SAFETY: in a section, and the borrow ends in it.
        let supervisor = unsafe { SUPERVISOR.get() };
        supervisor.context = Some(context);
        (supervisor.work, supervisor.print) = (Some(work), Some(print));
        // Somebody may have failed meanwhile.
        activate(|supervisor| supervisor.work);
    });
    Ok(())
}

/// Activates one of the supervisor's events, if there is one. The caller is in a section.
fn activate(which: impl FnOnce(&Supervisor) -> Option<EventId>) {
    // SAFETY: in a section, and the borrow ends in this statement.
    if let Some(event) = which(unsafe { SUPERVISOR.get() }) {
        // It is registered for good; an overrun means that it is about to run.
        let _ = activate_deferred(event, 1);
    }
}

/// Whether a context is the supervisor. The caller is in a section.
pub(crate) fn is_supervisor(context: ContextId) -> bool {
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.context.is_some_and(|supervisor| supervisor.id() == context)
}

/// Says what has become of the supervisor itself, which goes on.
fn tell_own_failure() {
    // SAFETY: in a section, and the borrow ends in it.
    let context = section(|| unsafe { SUPERVISOR.get() }.context);
    let own = context.map(|context| section(|| registry::supervision(context.id())));
    if let Some(Ok(Some(own))) = own {
        log::error!("{}", section(|| own.obituary()));
        own.tells.set(false);
    }
}

/// The supervisor has been given up, and is to go on. The caller is in a section.
pub(crate) fn go_on() {
    FAILED.store(true, Relaxed);
    // SAFETY: in a section, and the borrow ends in this statement.
    let context = unsafe { SUPERVISOR.get() }.context;
    if let Some(context) = context
        && let Ok((_, state)) = registry::parts(context.id())
        && let Some(cell) = state.downcast::<()>()
    {
        // SAFETY: the cell lives for ever; nobody is at it, as no handler of the context runs.
        unsafe { cell.as_ref() }.put(Box::leak(Box::new(())));
    }
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.heir_of = None;
    activate(|supervisor| supervisor.work);
    activate(|supervisor| supervisor.print);
}

/// A context has been given up: it is to be cleaned up, at `priority`. The caller is in a section.
pub(crate) fn bury(supervision: &'static Supervision, priority: Priority) {
    supervision.phase.set(Phase::FIRST);
    supervision.deaths.set(supervision.deaths.get() + 1);
    // SAFETY: in a section, and the borrows end in it.
    let (supervisor, core) = unsafe { (SUPERVISOR.get(), CORE.get()) };
    supervisor.dying.insert(supervision.index.get());
    let _ = timer::disarm(supervision.timer.get());
    if let Some(work) = supervisor.work
        && let Ok(info) = core.look_up(work)
        && (info.pending == 0 && !info.runs || priority > info.registration.priority)
        && let Ok(outcome) = core.set_priority(work, priority.max(LEAST))
    {
        note(outcome);
    }
    activate(|supervisor| supervisor.work);
}

/// A context that is down is to be restarted. The caller is in a section.
pub(crate) fn restart(supervision: &'static Supervision) {
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.due.insert(supervision.index.get());
    activate(|supervisor| supervisor.work);
}

/// A context has been cleaned up. The caller is in a section.
pub(crate) fn cleaned_up(supervision: &'static Supervision) {
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.dying.remove(supervision.index.get());
}

/// Has the report printed that was taken down.
pub(crate) fn print() {
    section(|| activate(|supervisor| supervisor.print));
}

/// Says whose captures the supervisor drops.
pub(crate) fn set_heir_of(dead: Option<&'static Supervision>) {
    // SAFETY: in a section, and the borrow ends in it.
    section(|| unsafe { SUPERVISOR.get() }.heir_of = dead);
}

/// Whose captures the supervisor drops. The caller is in a section.
pub(crate) fn heir_of() -> Option<&'static Supervision> {
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.heir_of
}

/// Whether there may be contexts that are supervised.
pub(crate) fn is_made() -> bool {
    MADE.load(Relaxed)
}

/// The supervisor's work: some steps of cleaning up, and restarts.
fn work() {
    if FAILED.swap(false, Relaxed) {
        tell_own_failure();
    }
    for _ in 0..STEPS {
        let next = section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let supervisor = unsafe { SUPERVISOR.get() };
            let first = |set: ContextSet| set.indices().next();
            first(supervisor.dying)
                .map(|index| (index, false))
                .or_else(|| first(supervisor.due).map(|index| (index, true)))
                .map(|(index, due)| {
                    if due {
                        supervisor.due.remove(index);
                    }
                    (index, due)
                })
        });
        let Some((index, due)) = next else { return };
        let supervision = section(|| registry::name(index).and_then(registry::supervision));
        let Ok(Some(supervision)) = supervision else { continue };
        // What goes wrong here is the kernel's own, but for what is called unguarded.
        guard::guarded(|| if due { birth::begin(supervision) } else { supervision.step() });
    }
    section(|| activate(|supervisor| supervisor.work));
}
