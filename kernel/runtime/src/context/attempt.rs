//! Application's code that is called in a section, on whichever stack it may be: a filter. What goes wrong
//! there is its owner's failure, not that of the context that has activated the event.
//!
//! A panic or a fault goes back to where the code was called, if no section and no guarded call has
//! been opened since: in one of these it would be the kernel's. So does code that takes longer than its
//! owner's budget: when the timer's interrupt finds it so, or when the section, the guarded call or the
//! other filter ends in which the interrupt has found it. What was begun since is
//! [ended](crate::context::scope), and the owner is given up as if a handler of its had failed.
//!
//! Code of a context that can be given up has a [stack](crate::cpu::filter_stacks) of its own, for what may
//! have been left pointers to its frames: the stack is quarantined with its owner, and the supervisor sees to
//! another. When the kernel's code uses it up, that is the owner's failure too.
//!
//! What is left is the image's affair: code that goes on for ever in a section or a guarded call of its own.

use crate::context::kill::set_pending;
use crate::context::{registry, scope};
use crate::cpu;
use crate::cpu::attempt::{Attempt, UnderWay};
use crate::cpu::budget::{FILTER_TICK, TICKS};
use crate::cpu::contain::contain;
use crate::cpu::filter_stacks::FilterStacks;
use crate::cpu::home::RESERVE;
use crate::cpu::options::OnFailure;
use crate::cpu::reason::Reason;
use crate::cpu::supervision::Supervision;
use crate::dispatch::section::{FILTER, Section};
use crate::dispatch::{memory, section, timer};
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ops::Range;
use core::ptr::NonNull;
use reflex_arch::context;
use reflex_event::{Borrowed, ContextId};

/// Why a call has not come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It was given up.
    GivenUp,
    /// It was not made: there is no stack for it.
    NoStack,
}

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

/// Calls `work`, which is code of the context `owner`; `None` when it has failed. Without a stack for it,
/// it is forgotten, and has failed too. Nothing of the core is borrowed meanwhile.
pub(crate) fn attempt<R>(cs: &Section, owner: ContextId, work: impl FnOnce() -> R) -> Option<R> {
    let supervision = registry::supervision(cs, owner).ok().flatten();
    let done = attempt_by(cs, owner, supervision, work);
    if let (Some(owner), Err(Failed::NoStack)) = (supervision, &done) {
        set_pending(cs, owner, Reason::StackOverflow);
    }
    done.ok()
}

/// [Calls](attempt) `work`, which is code of a context of which `supervision` is kept.
///
/// When the context can be given up, `work` and what it has captured lie on a stack of their own, where what
/// has pointers to them finds them whatever becomes of the call.
#[inline]
pub(crate) fn attempt_by<R>(
    cs: &Section,
    context: ContextId,
    supervision: Option<&'static Supervision>,
    work: impl FnOnce() -> R,
) -> Result<R, Failed> {
    let owner = supervision.filter(|owner| owner.on_failure.get() != OnFailure::Halt);
    let Ok(stack) = take_stack(cs, owner) else {
        core::mem::forget(work);
        return Err(Failed::NoStack);
    };
    let tick = supervision.map_or(FILTER_TICK, |owner| owner.budget.filter_tick());
    let outer = cpu::this().attempt.get(cs);
    let (guards, scope) = scope::with(cs, |scopes| (scopes.open(), scopes.last));
    let mut attempt = Attempt {
        outer,
        saved: 0,
        depth: section::depth(),
        guards,
        scope,
        context,
        owner,
        reason: Cell::new(Reason::Panic),
        tick,
        next: Cell::new(0),
        counted: Cell::new(0),
        overflowed: Cell::new(false),
    };
    // All access goes through this pointer until the call is over.
    let place = NonNull::from(&mut attempt);
    let attempt_under_way = UnderWay(place);
    let mut work = Work { work: Some(work), result: None, attempt: attempt_under_way };
    cpu::this().attempt.set(cs, Some(attempt_under_way));
    // In this order: an interrupt in between would be one that finds nothing to come again for.
    timer::come_within(tick);
    // SAFETY: both are live until the call is over, and `call` is for a `Work` of these types. The stack was
    // taken, and nothing is on it before it is given back.
    let failed = unsafe {
        let saved = &raw mut (*place.as_ptr()).saved;
        let (call, work) = (call_of(&work), (&raw mut work).cast());
        match stack {
            None => context::attempt(saved, call, work),
            Some((_, top)) => context::attempt_on(saved, call, work, top),
        }
    };
    cpu::this().attempt.set(cs, outer);
    if !failed {
        if stack.is_some() {
            give_stack_back(cs, &attempt, stack);
        }
        return work.result.ok_or(Failed::GivenUp);
    }
    given_up(cs, &attempt, stack);
    // What it has captured is in a state that nobody knows.
    core::mem::forget(work);
    Err(Failed::GivenUp)
}

/// The ends of a filter's stack.
type FilterStack = Option<(usize, usize)>;

/// Takes a stack for a call, if that can be given up: else the image ends when it fails.
#[inline(always)]
fn take_stack(cs: &Section, owner: Option<&Supervision>) -> Result<FilterStack, Failed> {
    if owner.is_none() {
        return Ok(None);
    }
    let stack = cpu::this().filter_stacks.with(cs, FilterStacks::take);
    if stack.is_none() { Err(Failed::NoStack) } else { Ok(stack) }
}

/// A call is over, and nothing is left on its stack that somebody could point to.
#[inline(always)]
fn give_stack_back(cs: &Section, attempt: &Attempt, stack: FilterStack) {
    if attempt.overflowed.get() {
        close_reserve(stack);
    }
    cpu::this().filter_stacks.with(cs, FilterStacks::give_back);
}

/// Unmaps the reserve under a stack.
#[cold]
#[inline(never)]
fn close_reserve(stack: FilterStack) {
    if let Some((start, _)) = stack {
        memory::close_reserve(start - RESERVE..start);
    }
}

/// A call has been given up.
#[cold]
#[inline(never)]
fn given_up(cs: &Section, attempt: &Attempt, stack: FilterStack) {
    section::set_depth(cs, attempt.depth);
    // SAFETY: what it had begun is not gone on with: it has been given up.
    unsafe { scope::end_since(attempt.scope, attempt.borrowed()) };
    let (Some(owner), Some((start, end))) = (attempt.owner, stack) else { return };
    if owner.home.reuse.is_at_once() {
        give_stack_back(cs, attempt, stack);
    } else {
        cpu::this().filter_stacks.with(cs, FilterStacks::leave);
        let lost = &owner.home.filter_stacks;
        lost.set(lost.get() + (end - start + RESERVE) as u64);
    }
    set_pending(cs, owner, attempt.reason.get());
}

/// [Calls](attempt) `work` on a value, which is forgotten when that has failed. It is moved to where the work
/// is done, so that it stays there then.
pub(crate) fn attempt_on<T, R>(
    cs: &Section,
    owner: ContextId,
    value: T,
    work: impl FnOnce(&T) -> R,
) -> Result<(T, R), Borrowed> {
    let value = ManuallyDrop::new(value);
    let done = attempt(cs, owner, move || {
        let result = work(&value);
        (ManuallyDrop::into_inner(value), result)
    });
    done.ok_or_else(|| match registry::supervision(cs, owner) {
        Ok(Some(owner)) => {
            owner.forget(1);
            owner.home.reuse.borrowed()
        }
        _ => Borrowed::Quarantined,
    })
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
    let depth = work.attempt.look().depth;
    // SAFETY: the sections that were open when the call was made are so until it is over.
    let cs = unsafe { Section::assume() };
    section::set_depth(cs, FILTER);
    work.result = work.work.take().map(contain);
    // From here on there is nothing to be given up any more.
    section::set_depth(cs, depth);
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
    let Some(latest) = innermost(cs) else { return };
    let now = timer::now().as_nanos();
    let (mut at, mut shortest) = (Some(latest), latest.tick);
    while let Some(attempt) = at {
        let next = attempt.next.get();
        if now >= next {
            attempt.next.set(now + attempt.tick);
            // The first one may come soon after the beginning.
            attempt.counted.set(attempt.counted.get().saturating_add(u32::from(next != 0)));
        }
        shortest = shortest.min(attempt.tick);
        at = attempt.outer.map(UnderWay::look);
    }
    timer::come_again(shortest, now);
    latest.end_if_overdue(cs);
}

/// What the innermost filter has called may have ended, as a section has. Gives the filter up if it has
/// used up its time meanwhile; then this does not return.
pub(crate) fn look() {
    // SAFETY: a filter is called in a section, which is open until the call is over or given up.
    let cs = unsafe { Section::assume() };
    if let Some(latest) = innermost(cs) {
        latest.end_if_overdue(cs);
    }
}

/// The kernel's code has used up a filter's stack, at an address in that one's reserve, or an interrupt has:
/// maps the reserve, and has the filter given up as soon as that code is done. False when it cannot.
pub(crate) fn open_reserve(address: usize) -> bool {
    if !section::deferred() {
        return false;
    }
    // SAFETY: a section is open, and what has opened it does not go on before the caller has.
    let cs = unsafe { Section::assume() };
    let reserve = reserve_of(cs, address);
    let mut at = innermost(cs);
    // One that cannot be given up is on the stack of the one around it.
    while let Some(attempt) = at.filter(|attempt| attempt.owner.is_none()) {
        at = attempt.outer.map(UnderWay::look);
    }
    let (Some(reserve), Some(attempt)) = (reserve, at) else { return false };
    if !memory::open_reserve(reserve) {
        return false;
    }
    attempt.overflowed.set(true);
    attempt.counted.set(TICKS);
    true
}

/// The reserve of a filter's stack that an address is in.
fn reserve_of(_: &Section, address: usize) -> Option<Range<usize>> {
    // SAFETY: what is at work on the table does not go on meanwhile, and its numbers are each valid at any
    // time.
    unsafe { (*cpu::this().filter_stacks.as_ptr()).reserve_of(address) }
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

    /// Gives it up if it has used up its time, and is in code of its own.
    fn end_if_overdue(&self, cs: &Section) {
        if self.counted.get() < TICKS || !self.is_outside(cs) {
            return;
        }
        if self.owner.is_none() {
            panic!("a filter of context {} takes longer than its time", self.context.index);
        }
        let saved =
            self.fail(if self.overflowed.get() { Reason::StackOverflow } else { Reason::Overrun });
        // SAFETY: interrupts were let through until one was taken, if one was, and that is acknowledged. The
        // filter was called on this stack and has not returned; nothing that it has called is under way.
        unsafe { context::give_up(saved) }
    }

    /// Whether nothing of the kernel's has been called since that has not returned.
    fn is_outside(&self, cs: &Section) -> bool {
        // In this order: in a section others are at work on the scopes.
        section::depth() == FILTER && self.guards == scope::with(cs, |scopes| scopes.open())
    }

    /// Whether an address is in the reserve of its stack, or that of one that it was called on.
    pub(crate) fn overflows(&self, address: usize) -> bool {
        // SAFETY: it is under way, in a section.
        reserve_of(unsafe { Section::assume() }, address).is_some()
    }

    /// Notes why it is given up; returns where it is to come back to: the argument for
    /// [`context::give_up`].
    pub(crate) fn fail(&self, reason: Reason) -> usize {
        self.reason.set(reason);
        self.saved
    }
}
