//! The event core: how its state is reached, and what its calls lead to.

use crate::cpu;
use crate::cpu::borrow::Borrow;
use crate::cpu::deferral::{DISPATCH, Section};
use crate::cpu::handler::EventCore;
use crate::dispatch::pending;
use reflex_arch::clock;
use reflex_event::{ContextId, Outcome, Trouble};

/// Runs `work` on the event system's state.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn with_core<R>(cs: &Section, work: impl FnOnce(&mut EventCore) -> R) -> R {
    cpu::this().core.with(cs, work)
}

/// The event system's state, for one statement: see [`Local::borrow`](crate::cpu::local::Local::borrow).
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn borrow_core(cs: &Section) -> Borrow<'_, EventCore> {
    cpu::this().core.borrow(cs)
}

/// The context that runs; none in a job that has found the processor idle, and at start-up.
#[inline(always)]
pub(crate) fn running(cs: &Section) -> Option<ContextId> {
    borrow_core(cs).running()
}

/// The context that runs, for the handler of an exception, which may have come upon code at work on
/// the core's state.
pub(crate) fn peek_running() -> Option<ContextId> {
    // SAFETY: code at work there does not go on meanwhile. These are two words that are each valid
    // at any time.
    unsafe { (*cpu::this().core.as_ptr()).running() }
}

/// Remembers a preemption that a call has made due which does not say so.
pub(crate) fn note_if_due(core: &EventCore) {
    if core.preemption_due() {
        pending::post(DISPATCH);
    }
}

/// Time, as the core counts it.
#[inline(always)]
pub(crate) fn timestamp() -> u64 {
    clock::tsc()
}

/// Remembers a preemption that has become due, until the outermost section ends.
#[inline(always)]
pub(crate) fn note(outcome: Outcome) {
    if outcome == Outcome::Preempt {
        pending::post(DISPATCH);
    }
}

/// Tells a context of trouble, unless it has ended.
pub(crate) fn tell(cs: &Section, context: ContextId, trouble: Trouble) {
    if let Ok(outcome) = with_core(cs, |core| core.report(context, trouble, timestamp())) {
        note(outcome);
    }
}
