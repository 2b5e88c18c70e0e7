//! Calls that are not to be cut off, and values that outlive the code that they are lent to.
//!
//! A context is given up wherever it is, except in a section and in a guarded call: what such a
//! call holds is not the context's own, and would be lost. Where it calls application's code all
//! the same, the application's part is not guarded by it any more, and what is held meanwhile is in
//! a [scope].
//!
//! The application's code can reach nothing of a held value but bytes, or what can be
//! [lent](reflex_memory::Lend) to code that stops anywhere: so the value is whole whatever becomes of the
//! code, and is cleaned up.

use crate::context::scope;
use crate::cpu::scope::{Scope, Scopes};
use crate::dispatch::section::{Section, section};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_event::Borrowed;
use reflex_memory::Lend;

/// Runs `work` guarded.
#[inline]
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> R {
    enter();
    let result = work();
    close();
    result
}

/// Opens a guarded call of the running context, which is ended by [`close`].
#[inline(always)]
pub(crate) fn open(cs: &Section) {
    scope::with(cs, |scopes| scopes.guards += 1);
}

#[inline(never)]
fn enter() {
    section(open);
}

/// Ends what [`open`] opened.
#[inline(never)]
pub(crate) fn close() {
    section(close_in);
}

/// [`close`], in a section that there is.
#[inline(always)]
pub(crate) fn close_in(cs: &Section) {
    scope::with(cs, Scopes::unguard);
}

/// Takes a value, runs `work` on bytes of it, and finishes with the two: guarded, but for `work`.
/// When that never comes to its end, `cleanup` gets the value.
///
/// `bytes` is guarded, so that it is never cut off; what is lent by it cannot be half changed.
#[inline]
pub(crate) fn keep<T: Send, V, R>(
    take: impl FnOnce() -> Result<T, R>,
    bytes: fn(&mut T) -> &[u8],
    cleanup: fn(T, Borrowed),
    work: impl FnOnce(&[u8]) -> V,
    finish: impl FnOnce(T, V) -> R,
) -> R {
    hold(take, cleanup, bytes, work, finish)
}

/// Takes a value, runs `work` with what a part of it lends, and finishes with the two: guarded, but for
/// `work`. When that never comes to its end, `cleanup` gets the value.
#[inline]
pub(crate) fn hand<T: Send, L: Lend + ?Sized, V, R>(
    take: impl FnOnce() -> Result<T, R>,
    part: fn(&mut T) -> &mut L,
    cleanup: fn(T, Borrowed),
    work: impl FnOnce(L::View<'_>) -> V,
    finish: impl FnOnce(T, V) -> R,
) -> R {
    hold(take, cleanup, |value| part(value).lend(), work, finish)
}

#[inline(always)]
fn hold<'a, T: Send + 'a, B: 'a, V, R>(
    take: impl FnOnce() -> Result<T, R>,
    cleanup: fn(T, Borrowed),
    view: impl FnOnce(&'a mut T) -> B,
    work: impl FnOnce(B) -> V,
    finish: impl FnOnce(T, V) -> R,
) -> R {
    guarded(|| {
        let value = match take() {
            Ok(value) => value,
            Err(result) => return result,
        };
        let scope = Scope::new(Held::<T>::end);
        let mut held = Held { scope, cleanup, value: ManuallyDrop::new(value) };
        // All access goes through this pointer until the scope is over.
        let held: NonNull<Held<T>> = NonNull::from(&mut held);
        // SAFETY: `held` is live until `view` and `work` are done, which is when `B` is gone; of it,
        // the list's users touch the node only. The value is in a `ManuallyDrop`, which adds nothing.
        let lent = view(unsafe { &mut (*held.as_ptr()).value });
        // SAFETY: live until it is taken off below.
        unsafe { lift(held.cast()) };
        let unwinding = Unwinding(held);
        let result = work(lent);
        core::mem::forget(unwinding);
        guard_again();
        // SAFETY: as above, and the node is off the list; the value is taken out once.
        finish(unsafe { ManuallyDrop::take(&mut (*held.as_ptr()).value) }, result)
    })
}

/// Begins a scope, in which this guarded call is none.
///
/// # Safety
/// As for [`Scopes::push`].
#[inline(never)]
unsafe fn lift(node: NonNull<Scope>) {
    section(|cs| {
        scope::with(cs, |scopes| {
            // SAFETY: the caller's duty.
            unsafe { scopes.push(node) };
            scopes.unguard();
        });
    });
}

/// Ends what [`lift`] began.
#[inline(never)]
fn guard_again() {
    section(|cs| {
        scope::with(cs, |scopes| {
            scopes.guards += 1;
            scopes.pop();
        });
    });
}

/// Ends what is held where a panic unwinds, as it does on the host: its node is gone when the context is
/// given up.
struct Unwinding<T>(NonNull<Held<T>>);

impl<T> Drop for Unwinding<T> {
    fn drop(&mut self) {
        guard_again();
        // SAFETY: the node was made with this function, and has just been taken off its list. What it was
        // lent to does not go on.
        unsafe { Held::<T>::end(self.0.cast(), Borrowed::Quarantined) };
        close();
    }
}

#[repr(C)]
struct Held<T> {
    scope: Scope,
    cleanup: fn(T, Borrowed),
    value: ManuallyDrop<T>,
}

impl<T> Held<T> {
    /// # Safety
    /// As [`End`](crate::cpu::scope::End).
    unsafe fn end(node: NonNull<Scope>, borrowed: Borrowed) {
        // SAFETY: `Self` begins with its node, and nobody else uses it any more. The value is whole: what
        // it was lent to could reach bytes of it, or what a part of it lends; it is taken out once.
        let (cleanup, value) = unsafe {
            let held = &mut *node.cast::<Self>().as_ptr();
            (held.cleanup, ManuallyDrop::take(&mut held.value))
        };
        cleanup(value, borrowed);
    }
}
