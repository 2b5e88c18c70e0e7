//! Statics that belong to the one core.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

/// A static value of the core. It is reached only while nothing else can run that reaches it:
/// with dispatch deferred, or with interrupts masked, as each use says.
pub(crate) struct Local<T>(UnsafeCell<T>);

// SAFETY: there is one core, and every access goes through `get`, whose caller excludes all
// others on it.
unsafe impl<T> Sync for Local<T> {}

impl<T> Local<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Where the value is.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.0.get()
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
        unsafe { &mut *self.0.get() }
    }
}

/// A static value of the core that is made at start-up, and so takes no room in the image.
pub(crate) struct Later<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: as for `Local`.
unsafe impl<T> Sync for Later<T> {}

impl<T> Later<T> {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Gives it its value.
    ///
    /// # Safety
    /// Nobody else reaches the value meanwhile.
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: the caller's duty.
        unsafe { &mut *self.0.get() }.write(value);
    }

    /// The value.
    ///
    /// # Safety
    /// As for [`Local::get`]; and it has been given its value.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "exclusion is the caller's duty, as said above")]
    pub(crate) unsafe fn get(&self) -> &mut T {
        // SAFETY: the caller's duty.
        unsafe { (*self.0.get()).assume_init_mut() }
    }
}
