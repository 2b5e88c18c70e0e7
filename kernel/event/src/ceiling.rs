//! Data that several contexts and jobs share.

use crate::EventSystem;
use core::hint::spin_loop;
use spin::{Mutex, MutexGuard};

/// How often it is looked whether another core has left a ceiling: for much longer than any section takes.
const PATIENCE: u32 = 1 << 24;

/// A value that is only ever touched with dispatch deferred: sharing it on one core needs no waiting, and
/// no handler can be preempted while it holds it (an immediate priority ceiling). Another core waits for the end of the
/// section.
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
    /// When `work` enters the same ceiling again: that could only deadlock. So could two cores that enter two ceilings
    /// in different orders.
    pub fn with<K: EventSystem, R>(&self, kernel: &K, work: impl FnOnce(&mut T) -> R) -> R {
        kernel.section(|| self.within(work))
    }

    /// [`with`](Self::with), for code in a section. Several values may be touched at a time, but none twice.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    #[inline]
    pub fn within<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // Without preemption, the lock can only be taken by another core, or by `work` itself.
        let mut value = self.value.try_lock().unwrap_or_else(|| self.wait());
        work(&mut value)
    }

    /// Waits for another core, which is in a section of its.
    #[cold]
    fn wait(&self) -> MutexGuard<'_, T> {
        let mut tries = (0..PATIENCE).filter_map(|_| {
            spin_loop();
            self.value.try_lock()
        });
        tries.next().expect("a ceiling was entered twice")
    }
}
