//! State of the core: reached in sections, by the [token](Section) of one.
//!
//! - [`Local`] lends its value for the time of a closure, and [`LateInit`] one that is made at
//!   start-up;
//! - [`LocalCell`] moves a small value in and out;
//! - [`Fixed`] is made at start-up and only read since.

use super::deferral::{Section, Start};
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
#[cfg(debug_assertions)]
use core::panic::Location;

/// A value of the core that is borrowed in a section, for the time of a closure.
///
/// While a section is open no other context and no job runs, and interrupt code uses no such value:
/// so nothing but the closure itself could come a second time. Builds with debug
/// assertions notice that, and say where both were.
pub(crate) struct Local<T> {
    pub(super) value: UnsafeCell<T>,
    #[cfg(debug_assertions)]
    pub(super) borrowed: Borrowed,
}

// SAFETY: the borrower of the value is in a section of the core that has it, and no other flow of control
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

    /// Where the value is.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.value.get()
    }

    /// The value.
    ///
    /// # Safety
    /// Until the borrow ends, nothing else that reaches this value runs: the caller is in a
    /// section ([`crate::dispatch::section`]) in which it takes no second borrow, or has interrupts masked
    /// where interrupt code is the other party.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "exclusion is the caller's duty, as said above")]
    pub(crate) unsafe fn get(&self) -> &mut T {
        // SAFETY: the caller's duty.
        unsafe { &mut *self.value.get() }
    }
}

/// A [`Local`] with a value that is made at start-up, and so takes no room in the image.
pub(crate) struct LateInit<T>(pub(super) Local<MaybeUninit<T>>);

impl<T> LateInit<T> {
    pub(crate) const fn new() -> Self {
        Self(Local::new(MaybeUninit::uninit()))
    }

    /// Where the value is.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.0.as_ptr().cast()
    }
}

/// A small value that is moved in and out in sections: nobody ever has a reference to it.
pub(crate) struct LocalCell<T>(Cell<T>);

// SAFETY: the value is reached in a section of the core that has it, in which no other flow of control
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
// `Sync`; its writer may be another than its readers, so it is `Send`.
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

    /// The value. It has been set, as [that of a `LateInit`](LateInit::with) has.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: it was set before anybody could come here, and nobody writes it any more.
        unsafe { (*self.0.get()).assume_init_ref() }
    }
}

/// Where a value has been borrowed.
#[cfg(debug_assertions)]
pub(super) struct Borrowed(pub(super) Cell<Option<&'static Location<'static>>>);
