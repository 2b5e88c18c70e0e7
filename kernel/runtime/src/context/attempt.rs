//! Application's code that is called in a section, on whichever stack it may be: a filter. What goes wrong
//! there is its owner's failure, not that of the context that has activated the event.
//!
//! A panic or a fault goes back to where the code was called, if no section and no guarded call has
//! been opened since: in one of these it would be the kernel's. So does code that takes longer than its
//! owner's budget, when the timer's interrupt finds it so. What was begun since is
//! [ended](crate::context::scope), and the owner is given up as if a handler of its had failed.
//!
//! What is left is the image's affair: code that goes on for ever in a section or a guarded call of its
//! own, or uses up the stack there.

use crate::context::kill::set_pending;
use crate::context::{registry, scope};
use crate::cpu;
use crate::cpu::attempt::{Attempt, UnderWay};
use crate::cpu::budget::{FILTER_TICK, TICKS};
use crate::cpu::options::OnFailure;
use crate::cpu::reason::Reason;
use crate::cpu::supervision::Supervision;
use crate::dispatch::section::Section;
use crate::dispatch::{section, timer};
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_arch::context;
use reflex_event::{Borrowed, ContextId};

/// Bytes of a stack that are enough for a filter: what overflows with so many left when it was called
/// is its own doing.
const AMPLE: usize = 4 << 10;

/// Nanoseconds before another look for code that has used up its time, and was in the kernel's.
const SOON: u64 = 5_000;

impl UnderWay {
    /// The call.
    fn look<'a>(self) -> &'a Attempt {
        // SAFETY: it is under way, as it takes itself off when it is over, and those around it are; of
        // one that is under way only cells are changed, and where to come back to.
        unsafe { self.0.as_ref() }
    }
}

/// What is called, and what it has returned.
struct Work<F, R> {
    work: Option<F>,
    result: Option<R>,
    attempt: UnderWay,
}

/// Calls `work`, which is code of the context `owner`; `None` when it has failed. Nothing of the core
/// is borrowed meanwhile.
pub(crate) fn attempt<R>(cs: &Section, owner: ContextId, work: impl FnOnce() -> R) -> Option<R> {
    let supervision = registry::supervision(cs, owner).ok().flatten();
    attempt_by(cs, owner, supervision, work)
}

/// [Calls](attempt) `work`, which is code of a context of which `supervision` is kept.
#[inline]
pub(crate) fn attempt_by<R>(
    cs: &Section,
    context: ContextId,
    supervision: Option<&'static Supervision>,
    work: impl FnOnce() -> R,
) -> Option<R> {
    let tick = supervision.map_or(FILTER_TICK, |owner| owner.budget.filter_tick());
    timer::interrupt_within(cs, tick);
    let outer = cpu::this().attempt.get(cs);
    let (guards, scope) = scope::with(cs, |scopes| (scopes.open(), scopes.last));
    let mut attempt = Attempt {
        outer,
        saved: 0,
        depth: section::depth(),
        guards,
        scope,
        context,
        owner: supervision.filter(|owner| owner.on_failure.get() != OnFailure::Halt),
        reason: Cell::new(Reason::Panic),
        entered: Cell::new(false),
        tick,
        next: Cell::new(0),
        counted: Cell::new(0),
    };
    // All access goes through this pointer until the call is over.
    let place = NonNull::from(&mut attempt);
    let attempt_under_way = UnderWay(place);
    let mut work = Work { work: Some(work), result: None, attempt: attempt_under_way };
    cpu::this().attempt.set(cs, Some(attempt_under_way));
    // SAFETY: both are live until the call is over, and `call` is for a `Work` of these types.
    let failed = unsafe {
        let saved = &raw mut (*place.as_ptr()).saved;
        context::attempt(saved, call_of(&work), (&raw mut work).cast())
    };
    cpu::this().attempt.set(cs, outer);
    if failed == 0 {
        return work.result;
    }
    // SAFETY: what it had begun is not gone on with: it has been given up.
    unsafe { scope::end_since(attempt.scope, attempt.borrowed()) };
    if let Some(owner) = attempt.owner {
        set_pending(cs, owner, attempt.reason.get());
    }
    // What it has captured is in a state that nobody knows.
    core::mem::forget(work);
    None
}

/// [Calls](attempt) `work` on a value, which is forgotten when that has failed.
pub(crate) fn attempt_on<T, R>(
    cs: &Section,
    owner: ContextId,
    value: T,
    work: impl FnOnce(&T) -> R,
) -> Option<(T, R)> {
    let value = ManuallyDrop::new(value);
    match attempt(cs, owner, || work(&value)) {
        Some(result) => Some((ManuallyDrop::into_inner(value), result)),
        None => {
            if let Ok(Some(owner)) = registry::supervision(cs, owner) {
                owner.forget(1);
            }
            None
        }
    }
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
    let entered = &work.attempt.look().entered;
    entered.set(true);
    work.result = work.work.take().map(|work| work());
    // From here on there is nothing to be given up any more.
    entered.set(false);
}

/// The call in which a panic or a fault has just happened, if it can be given up. Interrupts were
/// not masked.
pub(crate) fn latest() -> Option<&'static Attempt> {
    if !section::deferred() {
        return None;
    }
    // SAFETY: a section is open, and what has opened it does not go on before the caller has, or gives
    // the call up.
    let cs = unsafe { Section::assume() };
    innermost(cs).filter(|attempt| attempt.owner.is_some() && attempt.is_outside(cs))
}

fn innermost(cs: &Section) -> Option<&Attempt> {
    cpu::this().attempt.get(cs).map(UnderWay::look)
}

/// The timer's interrupt has come in a section, and interrupts are masked. Gives up the code that has
/// used up its time, if it is in there; then this does not return.
pub(crate) fn tick(cs: &Section) {
    let Some(latest) = innermost(cs) else { return timer::has_come() };
    let now = timer::now().as_nanos();
    let (mut at, mut overdue, mut most) = (Some(latest), false, 0);
    while let Some(attempt) = at {
        let next = attempt.next.get();
        if now >= next || attempt.is_overdue() {
            attempt.next.set(now + attempt.tick);
            // The first one may come soon after the beginning.
            attempt.counted.set(attempt.counted.get().saturating_add(u32::from(next != 0)));
        }
        most = most.max(attempt.counted.get());
        overdue |= attempt.is_overdue();
        at = attempt.outer.map(UnderWay::look);
    }
    let ends = latest.is_overdue() && latest.is_outside(cs);
    // One that has used up its time is to be found in code of its own: at times that do not keep step
    // with what it does.
    // And after more time again and again, so that it goes on however slowly this is served.
    let soon = (SOON << (most % 12)) + now % SOON;
    timer::interrupt_again(now, if overdue && !ends { soon } else { latest.tick });
    if !ends {
        return;
    }
    if latest.owner.is_none() {
        panic!("a filter of context {} takes longer than its time", latest.context.index);
    }
    let saved = latest.fail(Reason::Overrun);
    // SAFETY: an interrupt was taken, so they were let through, and this one is acknowledged. The code
    // that it has interrupted is on this stack, has been called by the attempt and has not returned.
    unsafe { context::give_up(saved) }
}

impl Attempt {
    /// What becomes of what it has borrowed, should it be given up.
    fn borrowed(&self) -> Borrowed {
        self.owner.map_or(Borrowed::Quarantined, |owner| owner.home.reuse.borrowed())
    }

    /// The context that has the code, as far as it can be given up.
    pub(crate) fn owner(&self) -> Option<&'static Supervision> {
        self.owner
    }

    fn is_overdue(&self) -> bool {
        self.counted.get() >= TICKS
    }

    /// Whether nothing of the kernel's has been called since that has not returned.
    fn is_outside(&self, cs: &Section) -> bool {
        // In this order: in a deeper section others are at work on the scopes.
        self.entered.get()
            && self.depth == section::depth()
            && self.guards == scope::with(cs, |scopes| scopes.open())
    }

    /// Whether it began with so much room on its stack, which ends at `end`, that it is to blame
    /// itself for an overflow.
    pub(crate) fn had_room(&self, end: usize) -> bool {
        self.saved.saturating_sub(end) >= AMPLE
    }

    /// Notes why it is given up; returns where it is to come back to: the argument for
    /// [`context::give_up`].
    pub(crate) fn fail(&self, reason: Reason) -> usize {
        self.reason.set(reason);
        self.saved
    }
}
