//! State of the core: reached in sections, by the [token](Section) of one.
//!
//! - [`Local`] lends its value for the time of a closure, and [`Later`] one that is made at
//!   start-up;
//! - [`LocalCell`] moves a small value in and out;
//! - [`Fixed`] is made at start-up and only read since.

use crate::section::Section;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
#[cfg(debug_assertions)]
use core::panic::Location;

/// A value of the core that is borrowed in a section, for the time of a closure.
///
/// While a section is open no other context and no job runs, and interrupt code uses no such value:
/// so the only one who could come a second time is the closure itself. Builds with debug
/// assertions notice that, and say where both were.
pub(crate) struct Local<T> {
    value: UnsafeCell<T>,
    borrowed: Borrowed,
}

// SAFETY: whoever borrows the value is in a section of the one core, and no other flow of control
// runs meanwhile. The value is used by one flow after the other, for which it is `Send`.
unsafe impl<T: Send> Sync for Local<T> {}

impl<T> Local<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), borrowed: Borrowed::NOT }
    }

    /// Runs `work` on the value. It borrows the value once: what it calls does not come here again.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn with<R>(&self, _: &Section, work: impl FnOnce(&mut T) -> R) -> R {
        self.borrowed.begin();
        // SAFETY: a section is open for as long as its token is borrowed, so nobody else is at the
        // value; nor is the caller: `borrowed` says so, or has been seen to in a build where it
        // does.
        let result = work(unsafe { &mut *self.value.get() });
        self.borrowed.end();
        result
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
        // SAFETY: it has been set, as said above.
        self.0.with(cs, |value| work(unsafe { value.assume_init_mut() }))
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

    /// Gives it its value.
    ///
    /// # Safety
    /// Called at start-up, before anything reads it.
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: the caller's duty: nobody has a borrow.
        unsafe { &mut *self.0.get() }.write(value);
    }

    /// The value. It has been set, as [that of a `Later`](Later::with) has.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: it was set before anybody could come here, and nobody writes it any more.
        unsafe { (*self.0.get()).assume_init_ref() }
    }
}

/// Who has borrowed a value: where, in builds with debug assertions; nothing in others.
struct Borrowed(#[cfg(debug_assertions)] Cell<Option<&'static Location<'static>>>);

impl Borrowed {
    const NOT: Self = Self(
        #[cfg(debug_assertions)]
        Cell::new(None),
    );

    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn begin(&self) {
        #[cfg(debug_assertions)]
        {
            let here = Location::caller();
            if let Some(first) = self.0.get() {
                panic!("borrowed at {here} while it is borrowed at {first}");
            }
            self.0.set(Some(here));
            live::one_more();
        }
    }

    #[inline(always)]
    fn end(&self) {
        #[cfg(debug_assertions)]
        {
            self.0.set(None);
            live::one_less();
        }
    }
}

/// Asserts that nothing is borrowed, in builds with debug assertions: the processor is about to go
/// to another stack.
#[inline(always)]
pub(crate) fn assert_not_borrowed() {
    #[cfg(debug_assertions)]
    live::assert_none();
}

/// How many values are borrowed.
#[cfg(debug_assertions)]
mod live {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static BORROWS: AtomicU32 = AtomicU32::new(0);

    pub(super) fn one_more() {
        BORROWS.fetch_add(1, Relaxed);
    }

    pub(super) fn one_less() {
        BORROWS.fetch_sub(1, Relaxed);
    }

    #[track_caller]
    pub(super) fn assert_none() {
        let borrows = BORROWS.load(Relaxed);
        assert_eq!(borrows, 0, "the processor changes stacks with values of the core borrowed");
    }
}
