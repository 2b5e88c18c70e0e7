//! Atomics and cells. The models (`tests/models.rs`) put those of loom in their place, which have the same names.

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64};

/// A cell that is accessed by closures, so that loom's can watch them.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Runs `work` with a pointer to the value, which may be written by it. What it does with that is its own affair.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, work: impl FnOnce(*mut T) -> R) -> R {
        work(self.0.get())
    }
}
