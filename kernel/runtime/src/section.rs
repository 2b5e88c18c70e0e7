//! Sections: dispatch deferred, interrupts on.
//!
//! Kernel structures are touched only in a section. An interrupt that arrives in one is
//! acknowledged and posts its job; the job and any dispatch wait until the outermost section
//! ends. Nothing is lost in between, because the end first gives the section up and then looks
//! for what was posted: an interrupt after the giving-up serves itself.

use crate::dispatch;
use crate::measure;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, compiler_fence};

/// How many sections are open. Starts at 1: the kernel's start is a section.
pub(crate) static DEPTH: AtomicU32 = AtomicU32::new(1);

/// What waits for the outermost section to end: a bit for each job, and [`DISPATCH`].
pub(crate) static PENDING: AtomicU64 = AtomicU64::new(0);

/// The bit of [`PENDING`] that says a ready context beats the running one.
pub(crate) const DISPATCH: u64 = 1 << 63;

/// Runs `work` in a section.
#[inline(always)]
pub fn section<R>(work: impl FnOnce() -> R) -> R {
    enter();
    let result = work();
    leave();
    result
}

/// The two ends of a section as functions, for those who are told of them at start-up: the
/// global heap and the console. Whoever calls the first also calls the second.
pub fn ends() -> (fn(), fn()) {
    (enter, leave)
}

/// Opens a section.
#[inline(always)]
pub(crate) fn enter() {
    DEPTH.store(DEPTH.load(Relaxed) + 1, Relaxed);
    measure::deferred_from();
    // Single core: only the compiler could move the work out of the section.
    compiler_fence(SeqCst);
}

/// Ends a section; at the end of the outermost one, does what has waited for it.
#[inline(always)]
pub(crate) fn leave() {
    compiler_fence(SeqCst);
    let depth = DEPTH.load(Relaxed) - 1;
    if depth == 0 {
        measure::deferred_until();
    }
    DEPTH.store(depth, Relaxed);
    compiler_fence(SeqCst);
    if depth == 0 && PENDING.load(Relaxed) != 0 {
        service();
    }
}

/// Whether a section is open.
#[inline(always)]
pub fn deferred() -> bool {
    DEPTH.load(Relaxed) != 0
}

/// How many sections are open.
pub(crate) fn depth() -> u32 {
    DEPTH.load(Relaxed)
}

/// Whether one section is open, and not another in it.
#[inline(always)]
pub(crate) fn is_outermost() -> bool {
    DEPTH.load(Relaxed) == 1
}

/// Marks jobs, or a dispatch, as waiting. Legal in interrupt context.
#[inline(always)]
pub(crate) fn post(bits: u64) {
    PENDING.fetch_or(bits, Relaxed);
}

/// Takes all that waits.
#[inline(always)]
pub(crate) fn take_pending() -> u64 {
    PENDING.swap(0, Relaxed)
}

/// Opens the outermost section where none is open: the start of a service.
#[inline(always)]
pub(crate) fn hold() {
    DEPTH.store(1, Relaxed);
    measure::deferred_from();
    compiler_fence(SeqCst);
}

/// Gives the outermost section up. False when something waits, which may be served at once.
#[inline(always)]
pub(crate) fn give_up() -> bool {
    compiler_fence(SeqCst);
    measure::deferred_until();
    DEPTH.store(0, Relaxed);
    compiler_fence(SeqCst);
    PENDING.load(Relaxed) == 0
}

/// Does what has waited for the outermost section to end.
#[cold]
#[inline(never)]
pub(crate) fn service() {
    loop {
        hold();
        dispatch::service(0);
        if give_up() {
            return;
        }
    }
}
