//! Data that several contexts and jobs share.

use crate::EventSystem;
use spin::Mutex;

/// A value that is only ever touched with dispatch deferred: sharing it needs no waiting, and
/// no handler can be preempted while it holds it (an immediate priority ceiling).
pub struct Ceiling<T> {
    value: Mutex<T>,
}

impl<T> Ceiling<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self { value: Mutex::new(value) }
    }

    /// Runs `work` on the value, in a section of `kernel`.
    ///
    /// # Panics
    /// When `work` enters the same ceiling again: that could only deadlock.
    pub fn with<K: EventSystem, R>(&self, kernel: &K, work: impl FnOnce(&mut T) -> R) -> R {
        kernel.section(|| self.within(work))
    }

    /// [`with`](Self::with), for code in a section. Several values may be touched at a time, but none twice.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    #[inline]
    pub fn within<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // One core and no preemption: the lock can only be taken by `work` itself.
        let mut value = self.value.try_lock().expect("a ceiling was entered twice");
        work(&mut value)
    }
}
