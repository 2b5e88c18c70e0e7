//! Application's code that is called in a section, on whoever's stack it may be: a filter. What goes
//! wrong there is its owner's failure, not that of whoever has activated the event.
//!
//! A panic or a fault goes back to where the code was called, if no section and no guarded call has
//! been opened since: in one of these it would be the kernel's. Then the owner is given up as if
//! a handler of its had failed.

use crate::contain::doom;
use crate::dispatch::with_core;
use crate::guard::DOOMED;
use crate::local::LocalCell;
use crate::registry;
use crate::report::Reason;
use crate::section::{self, Section};
use crate::supervise::{OnFailure, Supervision};
use core::cell::Cell;
use core::ptr::NonNull;
use reflex_arch::context;
use reflex_event::ContextId;

/// A call that can be given up, on the stack of whoever makes it.
pub(crate) struct Attempt {
    /// Where to come back to.
    saved: usize,
    depth: u32,
    guards: u32,
    owner: &'static Supervision,
    reason: Cell<Reason>,
}

/// A call that is under way.
#[derive(Clone, Copy)]
struct UnderWay(NonNull<Attempt>);

// SAFETY: it is looked at in the section in which the call was made, on the same stack.
unsafe impl Send for UnderWay {}

/// The innermost: they are all on one stack.
static LATEST: LocalCell<Option<UnderWay>> = LocalCell::new(None);

/// What is called, and what it has returned.
struct Work<F, R> {
    work: Option<F>,
    result: Option<R>,
}

/// Calls `work`, which is code of the context `owner`; `None` when it has failed. Nothing
/// of the core is borrowed meanwhile.
pub(crate) fn attempt<R>(cs: &Section, owner: ContextId, work: impl FnOnce() -> R) -> Option<R> {
    let supervision = registry::supervision(cs, owner).ok().flatten();
    let Some(owner) = supervision.filter(|owner| owner.on_failure.get() != OnFailure::Halt) else {
        return Some(work());
    };
    let mut work = Work { work: Some(work), result: None };
    let reason = Cell::new(Reason::Panic);
    let (depth, guards, outer) = (section::depth(), guards(cs), LATEST.get(cs));
    let mut attempt = Attempt { saved: 0, depth, guards, owner, reason };
    // All access goes through this pointer until the call is over.
    let place = NonNull::from(&mut attempt);
    LATEST.set(cs, Some(UnderWay(place)));
    // SAFETY: both are live until the call is over, and `call` is for a `Work` of these types.
    let failed = unsafe {
        let saved = &raw mut (*place.as_ptr()).saved;
        context::attempt(saved, call_of(&work), (&raw mut work).cast())
    };
    LATEST.set(cs, outer);
    if failed == 0 {
        return work.result;
    }
    doom(cs, owner, attempt.reason.get());
    // What it has captured is in a state that nobody knows.
    core::mem::forget(work);
    None
}

/// What calls it.
fn call_of<F: FnOnce() -> R, R>(_: &Work<F, R>) -> unsafe extern "C" fn(*mut ()) {
    call::<F, R>
}

/// # Safety
/// `work` is that of a live `Work<F, R>`.
unsafe extern "C" fn call<F: FnOnce() -> R, R>(work: *mut ()) {
    // SAFETY: the caller's duty.
    let work = unsafe { &mut *work.cast::<Work<F, R>>() };
    work.result = work.work.take().map(|work| work());
}

/// Guarded calls that are open on the running context's stack.
fn guards(cs: &Section) -> u32 {
    with_core(cs, |core| core.running().map_or(0, |running| core.machine(running).guards & !DOOMED))
}

/// The call in which a panic or a fault has just happened, if it can be given up. Interrupts were
/// not masked.
pub(crate) fn latest(cs: &Section) -> Option<&Attempt> {
    // SAFETY: the call is under way, as it takes itself off when it is over.
    let attempt = unsafe { LATEST.get(cs)?.0.as_ref() };
    (attempt.depth == section::depth() && attempt.guards == guards(cs)).then_some(attempt)
}

impl Attempt {
    /// Whose code it is.
    pub(crate) fn owner(&self) -> &'static Supervision {
        self.owner
    }

    /// Notes why it is given up; returns where it is to come back to: the argument for
    /// [`context::give_up`].
    pub(crate) fn fail(&self, reason: Reason) -> usize {
        self.reason.set(reason);
        self.saved
    }
}
