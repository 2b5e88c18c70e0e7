//! Calls that are not to be cut off, and values that outlive whoever held them.
//!
//! A context is given up wherever it is, except in a section and in a guarded call: what such a
//! call holds is not the context's own, and would be lost. Where it calls application's code all
//! the same, that is *unguarded*, and what is held meanwhile is on the context's list of values to
//! be rescued: nodes on its own stack, which nobody uses any more once the context is given up.

use crate::contain;
use crate::dispatch::{Stack, with_core};
use crate::section::{Section, section};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

/// The bit of [`Stack::guards`] that says the context is to be given up as soon as no guarded call
/// is open on its stack. The others count such calls.
pub(crate) const DOOMED: u32 = 1 << 31;

/// Runs `work` guarded.
#[inline]
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> R {
    enter(None);
    let result = work();
    leave(false);
    result
}

/// Runs `work` as if no guarded call were open.
#[inline]
pub(crate) fn unguarded<R>(work: impl FnOnce() -> R) -> R {
    let guards = suspend();
    let result = work();
    resume(guards);
    result
}

/// Runs `work` guarded on `value`, which goes to `rescue` if the context is given up meanwhile.
#[inline]
pub(crate) fn rescued<T: Send, R>(
    value: T,
    rescue: fn(T),
    work: impl FnOnce(&mut T) -> R,
) -> (T, R) {
    let node = Rescue { next: None, rescue: Kept::<T>::rescue };
    let mut kept = Kept { node, rescue, value: ManuallyDrop::new(value) };
    // All access goes through this pointer until the node is off the list.
    let kept: NonNull<Kept<T>> = NonNull::from(&mut kept);
    enter(Some(kept.cast()));
    // SAFETY: `kept` is live; of it, the list's users touch the node only.
    let result = work(unsafe { &mut (*kept.as_ptr()).value });
    leave(true);
    // SAFETY: as above, and the node is off the list; the value is taken out once.
    (unsafe { ManuallyDrop::take(&mut (*kept.as_ptr()).value) }, result)
}

/// A value to be rescued: a node of a list in [`Stack::rescues`], the last one first.
pub(crate) struct Rescue {
    next: Option<NonNull<Rescue>>,
    rescue: unsafe fn(NonNull<Rescue>),
}

impl Rescue {
    /// Rescues the value, and returns the node behind this one.
    ///
    /// # Safety
    /// `node` is on the list of a context that has been given up; it is not used again.
    pub(crate) unsafe fn carry_out(node: NonNull<Self>) -> Option<NonNull<Self>> {
        // SAFETY: the stack that the node is on is still as it was left.
        let Self { next, rescue } = *unsafe { node.as_ref() };
        // SAFETY: `rescued` made the node for this function.
        unsafe { rescue(node) };
        next
    }
}

#[repr(C)]
struct Kept<T> {
    node: Rescue,
    rescue: fn(T),
    value: ManuallyDrop<T>,
}

impl<T> Kept<T> {
    /// # Safety
    /// `node` is that of a live `Self` whose value nobody uses any more.
    unsafe fn rescue(node: NonNull<Rescue>) {
        // SAFETY: `Self` begins with its node. The value was lent to code that never goes on, and
        // was whole wherever that could be cut off: where it called something unguarded.
        let (rescue, value) = unsafe {
            let kept = &mut *node.cast::<Self>().as_ptr();
            (kept.rescue, ManuallyDrop::take(&mut kept.value))
        };
        rescue(value);
    }
}

/// Opens a guarded call of the running context, which is ended by [`close`].
#[inline(always)]
pub(crate) fn open(cs: &Section) {
    change(cs, |stack| stack.guards += 1);
}

/// Ends what [`open`] opened.
#[inline(always)]
pub(crate) fn close() {
    leave(false);
}

/// Opens a guarded call of the running context.
#[inline(never)]
fn enter(node: Option<NonNull<Rescue>>) {
    on_stack(|stack| {
        stack.guards += 1;
        if let Some(node) = node {
            // SAFETY: the node is the caller's, who keeps it until `leave`.
            unsafe { (*node.as_ptr()).next = stack.rescues };
            stack.rescues = Some(node);
        }
    });
}

/// Ends a guarded call of the running context, and takes its node off the list if it has one.
#[inline(never)]
fn leave(node: bool) {
    on_stack(|stack| {
        stack.guards -= 1;
        if node && let Some(node) = stack.rescues {
            // SAFETY: nodes on the list are live.
            stack.rescues = unsafe { node.as_ref() }.next;
        }
        let waited_for = stack.guards == DOOMED;
        if waited_for {
            contain::post();
        }
    });
}

/// Lets the running context be given up again, for now; returns what to [`resume`].
#[inline(never)]
fn suspend() -> u32 {
    let mut open = 0;
    on_stack(|stack| {
        open = stack.guards & !DOOMED;
        stack.guards -= open;
        if stack.guards == DOOMED {
            contain::post();
        }
    });
    open
}

#[inline(never)]
fn resume(guards: u32) {
    on_stack(|stack| stack.guards += guards);
}

/// At start-up, and in a job while idle, there is no context, and nothing to be given up.
#[inline(always)]
fn on_stack(work: impl FnOnce(&mut Stack)) {
    section(|cs| change(cs, work));
}

#[inline(always)]
fn change(cs: &Section, work: impl FnOnce(&mut Stack)) {
    with_core(cs, |core| {
        if let Some(context) = core.running() {
            work(core.machine(context));
        }
    });
}
