//! Keeping others away from the heap and the console while one is at work on them.
//!
//! Dispatch is deferred meanwhile, so that no other context of the core comes between, and interrupts only post jobs;
//! how that is done the kernel's runtime says, by [`set_exclusion`]. Other cores are kept out by a [lock](CoreLock).

use crate::core_lock::CoreLock;
use core::cell::{Cell, UnsafeCell};

/// What to call before and after.
#[derive(Clone, Copy)]
struct ExclusionHooks {
    enter: fn(),
    leave: fn(),
}

struct ExclusionCell(Cell<Option<ExclusionHooks>>);

// SAFETY: set once, at start-up, with interrupts masked and before there is a second context, as
// `set_exclusion` demands; from then on it is only read.
unsafe impl Sync for ExclusionCell {}

static HOOKS: ExclusionCell = ExclusionCell(Cell::new(None));

/// From now on, `enter` is called before and `leave` after each use of the heap and of the
/// console. They nest, and take none of the two themselves.
///
/// # Safety
/// Called before a second context exists, with interrupts masked. Between the two, no other
/// context runs.
pub unsafe fn set_exclusion(enter: fn(), leave: fn()) {
    HOOKS.0.set(Some(ExclusionHooks { enter, leave }));
}

/// A value that one context at a time is at work on.
pub(crate) struct Exclusive<T> {
    value: UnsafeCell<T>,
    lock: CoreLock,
}

// SAFETY: `with` lets one borrower in at a time: other cores and the same context are kept out by the lock, other
// contexts of the core do not run between the hooks, and before the hooks are set there is only one. Interrupts do
// not use these values. A `T` may so be used by several contexts: it is `Send`.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), lock: CoreLock::new() }
    }

    /// Runs `work` on the value; `None` when the caller is already inside.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let hooks = HOOKS.0.get();
        if let Some(ends) = hooks {
            (ends.enter)();
        }
        let mut result = None;
        if self.lock.enter() {
            // SAFETY: the lock is held for as long as the borrow lives, so nobody else has one.
            result = Some(work(unsafe { &mut *self.value.get() }));
            self.lock.leave();
        }
        if let Some(ends) = hooks {
            (ends.leave)();
        }
        result
    }

    /// The value, although other code may be at work on it.
    ///
    /// # Safety
    /// No code that is inside ever goes on, and the value is sound wherever that was stopped.
    pub(crate) unsafe fn seize(&self) -> *mut T {
        self.value.get()
    }
}
