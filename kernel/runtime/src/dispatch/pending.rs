//! What waits for the outermost section to end, and how that is given up and opened again.

use crate::cpu;
use crate::cpu::deferral::{self, Entered, Free, Inner, Outermost, Section};
use crate::dispatch::measure;

impl Outermost {
    /// Opens the outermost section; or says that a section is open already.
    #[inline(always)]
    pub(crate) fn open() -> Result<Self, Inner> {
        deferral::open().inspect(|_| begun())
    }

    /// Gives the section up.
    #[must_use = "what waits is not served by itself"]
    #[inline(always)]
    pub(crate) fn give_up(self) -> Free {
        measure::deferred_until();
        deferral::give_up(self)
    }
}

impl Free {
    /// Whether something waits, which may be served at once.
    #[inline(always)]
    pub(crate) fn waits(&self) -> bool {
        deferral::waits()
    }

    /// Opens the outermost section again.
    #[inline(always)]
    pub(crate) fn hold(self) -> Outermost {
        let outermost = deferral::reopen(self);
        begun();
        outermost
    }
}

impl Inner {
    /// Runs `work` in a section in the one that is open. What waits is for the end of that.
    #[inline(always)]
    pub(crate) fn section<R>(self, work: impl FnOnce(&Section) -> R) -> R {
        let entered = Entered::open();
        let result = work(&entered);
        entered.leave_inner();
        result
    }
}

impl Entered {
    /// Opens a section, in another one or not.
    #[inline(always)]
    pub(crate) fn open() -> Self {
        let entered = deferral::open_any();
        begun();
        entered
    }

    /// What it is, now that all has ended that was opened since.
    #[inline(always)]
    pub(crate) fn outermost(self) -> Result<Outermost, Self> {
        deferral::outermost(self)
    }

    /// Ends the section, which is in another one. What waits is for the end of that.
    #[inline(always)]
    pub(crate) fn leave_inner(self) {
        deferral::leave_inner(self, look_at_filter);
    }
}

/// A section has been opened.
#[inline(always)]
pub(crate) fn begun() {
    measure::deferred_from();
}

/// What a filter has called may have ended: a look at whether the filter has used up its time.
#[cold]
#[inline(never)]
pub(crate) fn look_at_filter() {
    (cpu::this().upcalls.get().look_at_filter)();
}

/// Whether a section is open.
#[inline(always)]
pub fn deferred() -> bool {
    deferral::is_open()
}

/// How many sections are open; in a filter, with [`FILTER`], since that was called.
pub(crate) fn depth() -> u32 {
    deferral::depth()
}

/// A filter's code begins, with the depth [`FILTER`], or ends, with the one before.
#[inline(always)]
pub(crate) fn set_depth(_: &Section, depth: u32) {
    deferral::set_depth(depth);
}

/// Whether one section is open, and not another in it.
#[inline(always)]
pub(crate) fn is_outermost() -> bool {
    deferral::is_outermost()
}

/// Marks jobs, or a dispatch, as waiting. Legal in interrupt context.
#[inline(always)]
pub(crate) fn post(bits: u64) {
    deferral::post(bits);
}
