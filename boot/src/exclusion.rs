//! Keeping others away from the heap and the console while one is at work on them.
//!
//! There is one processor, and interrupts only post jobs: so it is enough that dispatch is
//! deferred meanwhile. The kernel's runtime says how, by [`set_exclusion`].

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
    busy: Cell<bool>,
}

// SAFETY: `with` lets one borrower in at a time: other contexts do not run between the hooks, the
// same context is refused by `busy`, and before the hooks are set there is only one. Interrupts do
// not use these values. A `T` may so be used by several contexts: it is `Send`.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), busy: Cell::new(false) }
    }

    /// Runs `work` on the value; `None` when the caller is already inside.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let hooks = HOOKS.0.get();
        if let Some(ends) = hooks {
            (ends.enter)();
        }
        let result = (!self.busy.replace(true)).then(|| {
            // SAFETY: `busy` was clear, so nobody holds a borrow: it is set for as long as one
            // lives, and the hooks keep other code away that would look at it.
            let result = work(unsafe { &mut *self.value.get() });
            self.busy.set(false);
            result
        });
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
