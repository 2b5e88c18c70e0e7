//! Sections: dispatch deferred, interrupts on.
//!
//! Kernel structures are touched only in a section. An interrupt that arrives in one is
//! acknowledged and posts its job; the job and any dispatch wait until the outermost section
//! ends. Nothing is lost in between, because the end first gives the section up and then looks
//! for what was posted: an interrupt after the giving-up serves itself.
//!
//! That the caller is in a section is told by a [token](Section) in its arguments, which costs
//! nothing and which safe code cannot make up.

use crate::cpu::deferral;
use crate::dispatch::{measure, switch};

pub use crate::cpu::deferral::Section;
pub(crate) use crate::cpu::deferral::{FILTER, Free, Outermost, Start};
pub use crate::dispatch::pending::deferred;
pub(crate) use crate::dispatch::pending::{depth, is_outermost, look_at_filter, post, set_depth};

/// Runs `work` in a section.
#[inline(always)]
pub fn section<R>(work: impl FnOnce(&Section) -> R) -> R {
    enter();
    // SAFETY: opened in the line above, and not ended before `work` has returned.
    let result = work(unsafe { Section::assume() });
    leave();
    result
}

/// Runs `work` in the outermost section. `None` when one is open already: nothing has been done.
#[inline(always)]
pub(crate) fn outermost<R>(work: impl FnOnce(&mut Outermost) -> R) -> Option<R> {
    let mut outermost = Outermost::open().ok()?;
    let result = work(&mut outermost);
    outermost.leave();
    Some(result)
}

/// The two ends of a section as functions, for what is told of them at start-up: the global heap
/// and the console. A caller of the first also calls the second.
pub fn ends() -> (fn(), fn()) {
    (enter, leave)
}

/// Opens a section.
#[inline(always)]
pub(crate) fn enter() {
    deferral::enter();
    crate::dispatch::pending::begun();
}

/// Ends a section; at the end of the outermost one, does what has waited for it.
#[inline(always)]
pub(crate) fn leave() {
    if cfg!(feature = "measure") && is_outermost() {
        measure::deferred_until();
    }
    deferral::leave(left_with_more_to_do);
}

/// What is left to do at the end of a section, the outermost or one in a filter: one function, as hundreds of
/// places call it.
#[cold]
#[inline(never)]
fn left_with_more_to_do() {
    if depth() == 0 { switch::serve_all() } else { look_at_filter() }
}

impl Outermost {
    /// Ends the section, and does what has waited for it.
    #[inline(always)]
    pub(crate) fn leave(self) -> Free {
        let free = self.give_up();
        if free.waits() {
            switch::serve_all();
        }
        free
    }
}
