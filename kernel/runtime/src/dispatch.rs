//! Dispatch: the processor goes to the best context, on that context's own stack.

use crate::bound::Handler;
use crate::local::Local;
use crate::section::{self, DISPATCH};
use crate::{idle, job};
use reflex_arch::context;
use reflex_event::{ContextId, Core, Error, EventId, Next, Outcome};

/// Where a context's stack is.
pub(crate) struct Stack {
    /// Where it was left when the context was preempted.
    pub(crate) saved: usize,
    /// Its upper end.
    pub(crate) top: usize,
}

/// The event system's state. Reached only in a section.
pub(crate) static CORE: Local<Core<Handler, Stack>> = Local::new(Core::new());

/// Remembers a preemption that has become due, until the outermost section ends.
#[inline(always)]
pub(crate) fn note(outcome: Outcome) {
    if outcome == Outcome::Preempt {
        section::post(DISPATCH);
    }
}

/// Activates `event`, and carries out the preemption that is due at once if nothing else waits.
#[inline(always)]
pub(crate) fn activate(event: EventId, count: u32) -> Result<(), Error> {
    section::enter();
    // SAFETY: in a section, and the borrow ends before anything else runs.
    let core = unsafe { CORE.get() };
    let activated = core.activate(event, count);
    if activated == Ok(Outcome::Preempt) {
        if section::outermost() && !section::waiting() {
            let from = core.running();
            if let Some(next) = core.preempt() {
                leave_for(from, next);
            }
        } else {
            section::post(DISPATCH);
        }
    }
    section::leave();
    activated.map(drop)
}

/// Runs the jobs that were posted, then lets a context run that beats the present one. Returns
/// when the present context is the best again. The caller holds the outermost section.
#[inline(always)]
pub(crate) fn service() {
    job::run(section::take_pending() & !DISPATCH);
    // SAFETY: in a section, and the borrow ends before anything else runs.
    let core = unsafe { CORE.get() };
    let from = core.running();
    if let Some(next) = core.preempt() {
        leave_for(from, next);
    }
}

/// Suspends `from` and goes to `next`. Returns when `from` is gone back to; never, when there
/// was no context to suspend.
#[inline(always)]
fn leave_for(from: Option<ContextId>, next: Next) {
    let Some(from) = from else { go_to(next) };
    // SAFETY: in a section, and the borrow ends with what is taken from it.
    let core = unsafe { CORE.get() };
    let save: *mut usize = &raw mut core.machine(from).saved;
    match next {
        // SAFETY: `save` is the place of the present context, and contexts do not move; an idle
        // context's stack is empty and its own; `run` does not return.
        Next::Start(to) => unsafe { context::start(save, core.machine(to).top, run) },
        // SAFETY: as above; a preempted context was left by `switch` or `start`, and the core
        // names it once.
        Next::Resume(to) => unsafe { context::switch(save, core.machine(to).saved) },
        Next::Idle => {}
    }
}

/// Goes to `next`, dropping the present stack.
#[inline(always)]
pub(crate) fn go_to(next: Next) -> ! {
    // SAFETY: in a section, and the borrow ends with what is taken from it.
    let core = unsafe { CORE.get() };
    match next {
        // SAFETY: the present stack is the idle one, or that of a context whose handler is done.
        Next::Start(to) => unsafe { context::restart(core.machine(to).top, run) },
        // SAFETY: as above; a preempted context was left by `switch` or `start`.
        Next::Resume(to) => unsafe { context::resume(core.machine(to).saved) },
        Next::Idle => idle::enter(),
    }
}

/// The bottom of every context's stack: one activation, from its taking to its end.
extern "C" fn run() -> ! {
    // SAFETY: whoever came here holds the section; the borrow ends in this statement.
    let (handler, activation) = unsafe { CORE.get() }.begin();
    if !section::give_up() {
        section::service();
    }
    // SAFETY: the core names a live handler and keeps it until `finish`.
    unsafe { handler.call(activation) };
    section::hold();
    // SAFETY: in a section; the borrow ends in this statement.
    let finished = unsafe { CORE.get() }.finish();
    if let Some(handler) = finished.released {
        // SAFETY: the core gave it back.
        unsafe { handler.release() };
    }
    go_to(finished.next)
}
