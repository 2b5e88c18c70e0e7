//! State of the core: reached in sections, by the [token](Section) of one.
//!
//! - [`Local`] lends its value for the time of a closure, and [`Later`] one that is made at
//!   start-up;
//! - [`LocalCell`] moves a small value in and out;
//! - [`Fixed`] is made at start-up and only read since.

use crate::section::{Section, Start};
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
#[cfg(debug_assertions)]
use {
    crate::cpu,
    core::{panic::Location, sync::atomic::Ordering::Relaxed},
};

/// A value of the core that is borrowed in a section, for the time of a closure.
///
/// While a section is open no other context and no job runs, and interrupt code uses no such value:
/// so the only one who could come a second time is the closure itself. Builds with debug
/// assertions notice that, and say where both were.
pub(crate) struct Local<T> {
    value: UnsafeCell<T>,
    #[cfg(debug_assertions)]
    borrowed: Borrowed,
}

// SAFETY: whoever borrows the value is in a section of the one core, and no other flow of control
// runs meanwhile. The value is used by one flow after the other, for which it is `Send`.
unsafe impl<T: Send> Sync for Local<T> {}

impl<T> Local<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
            #[cfg(debug_assertions)]
            borrowed: Borrowed(Cell::new(None)),
        }
    }

    /// Runs `work` on the value. It borrows the value once: what it calls does not come here again.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn with<R>(&self, cs: &Section, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.borrow(cs))
    }

    /// Borrows the value: [`with`](Self::with) for the dispatcher, of whose instructions each counts
    /// and which a compiler does not always put into its callers as a closure. What it returns is
    /// to be given a name, as it lasts to the end of the statement otherwise.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn borrow<'a>(&'a self, _: &'a Section) -> Borrow<'a, T> {
        #[cfg(debug_assertions)]
        self.borrowed.begin();
        // SAFETY: a section is open for as long as its token is borrowed, so nobody else is at the
        // value; nor is the caller: `borrowed` says so, or has said so in a build where it does.
        let value = unsafe { &mut *self.value.get() };
        Borrow {
            value,
            #[cfg(debug_assertions)]
            borrowed: &self.borrowed,
        }
    }

    /// Where the value is.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.value.get()
    }

    /// The value.
    ///
    /// # Safety
    /// Until the borrow ends, nothing else that reaches this value runs: the caller is in a
    /// section ([`crate::section`]) in which it takes no second borrow, or has interrupts masked
    /// where interrupt code is the other party.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "exclusion is the caller's duty, as said above")]
    pub(crate) unsafe fn get(&self) -> &mut T {
        // SAFETY: the caller's duty.
        unsafe { &mut *self.value.get() }
    }
}

/// A borrowed value of the core.
pub(crate) struct Borrow<'a, T> {
    value: &'a mut T,
    #[cfg(debug_assertions)]
    borrowed: &'a Borrowed,
}

impl<T> Deref for Borrow<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> DerefMut for Borrow<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

#[cfg(debug_assertions)]
impl<T> Drop for Borrow<'_, T> {
    fn drop(&mut self) {
        self.borrowed.end();
    }
}

/// A [`Local`] whose value is made at start-up, and so takes no room in the image.
pub(crate) struct Later<T>(Local<MaybeUninit<T>>);

impl<T> Later<T> {
    pub(crate) const fn new() -> Self {
        Self(Local::new(MaybeUninit::uninit()))
    }

    /// Gives it its value.
    pub(crate) fn set(&self, cs: &Section, value: T) {
        self.0.with(cs, |place| {
            place.write(value);
        });
    }

    /// Runs `work` on the value, as [`Local::with`] does. It has been [set](Self::set): the kernel's
    /// start does that before there is a [`Runtime`](crate::Runtime), a context, a job or an
    /// interrupt, and whoever comes here has been called by one of these.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn with<R>(&self, cs: &Section, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.borrow(cs))
    }

    /// Borrows the value, as [`Local::borrow`] does.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn borrow<'a>(&'a self, _: &'a Section) -> Borrow<'a, T> {
        #[cfg(debug_assertions)]
        self.0.borrowed.begin();
        // SAFETY: as for `Local`; and it has been set, as said above.
        let value = unsafe { (*self.0.value.get()).assume_init_mut() };
        Borrow {
            value,
            #[cfg(debug_assertions)]
            borrowed: &self.0.borrowed,
        }
    }

    /// Where the value is.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.0.as_ptr().cast()
    }
}

/// A small value that is moved in and out in sections: nobody ever has a reference to it.
pub(crate) struct LocalCell<T>(Cell<T>);

// SAFETY: the value is reached in a section of the one core, in which no other flow of control
// runs. It is moved from one flow to another, for which it is `Send`.
unsafe impl<T: Send> Sync for LocalCell<T> {}

impl<T> LocalCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Cell::new(value))
    }

    #[inline(always)]
    pub(crate) fn get(&self, _: &Section) -> T
    where
        T: Copy,
    {
        self.0.get()
    }

    #[inline(always)]
    pub(crate) fn set(&self, _: &Section, value: T) {
        self.0.set(value);
    }
}

/// A value that is made at start-up and only read since.
pub(crate) struct Fixed<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: it is written once, before anybody else runs, and shared from then on, for which it is
// `Sync`; whoever writes it may be another than those who read it, so it is `Send`.
unsafe impl<T: Send + Sync> Sync for Fixed<T> {}

impl<T> Fixed<T> {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Gives it its value, before anything reads it.
    pub(crate) fn set(&self, _: &Start, value: T) {
        // SAFETY: nothing else runs at the kernel's start, which reads no value before it has set it
        // and sets it once.
        unsafe { &mut *self.0.get() }.write(value);
    }

    /// The value. It has been set, as [that of a `Later`](Later::with) has.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: it was set before anybody could come here, and nobody writes it any more.
        unsafe { (*self.0.get()).assume_init_ref() }
    }
}

/// Who has borrowed a value, and where.
#[cfg(debug_assertions)]
struct Borrowed(Cell<Option<&'static Location<'static>>>);

#[cfg(debug_assertions)]
impl Borrowed {
    #[track_caller]
    fn begin(&self) {
        let here = Location::caller();
        if let Some(first) = self.0.get() {
            panic!("borrowed at {here} while it is borrowed at {first}");
        }
        self.0.set(Some(here));
        cpu::this().borrows.fetch_add(1, Relaxed);
    }

    fn end(&self) {
        self.0.set(None);
        cpu::this().borrows.fetch_sub(1, Relaxed);
    }
}

/// Asserts that nothing of the core is borrowed, in builds with debug assertions: the processor is
/// about to go to another stack.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn assert_not_borrowed() {
    #[cfg(debug_assertions)]
    assert_eq!(
        cpu::this().borrows.load(Relaxed),
        0,
        "the processor changes stacks while values of the core are borrowed"
    );
}

#[cfg(test)]
mod tests;
