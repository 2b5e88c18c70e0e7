//! Work that some contexts' handlers may not interrupt.
//!
//! The contexts are held while the work lasts; all others may interrupt it. Whatever is activated
//! for them meanwhile lends its priority to the context that does the work.

use crate::context::{caller, guard, registry, scope};
use crate::cpu::runtime::Runtime;
use crate::cpu::scope::{Scope, Scopes};
use crate::cpu::set::ContextSet;
use crate::dispatch::event_core::{note, with_core};
use crate::dispatch::section::{Section, section};
use core::cell::Cell;
use core::ptr::NonNull;
use reflex_event::{Borrowed, ContextId, Error};

/// Contexts that are excluded in a scope of work.
#[repr(C)]
struct Exclusion {
    scope: Scope,
    by: ContextId,
    /// Those that are not excluded in a scope around this one too.
    excluded: Cell<ContextSet>,
}

impl Runtime {
    /// Runs `work`, during which no handler of `contexts` runs; one that was preempted goes on
    /// after it. Exclusions nest.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when the running context is one of them, when another
    /// excludes one of them, outside any context, or when dispatch is deferred, as in a filter. The
    /// work has not been done.
    pub fn exclude<R>(self, contexts: &[ContextId], work: impl FnOnce() -> R) -> Result<R, Error> {
        let by = caller::undeferred()?;
        let scope = Scope::of_exclusion(Exclusion::end);
        let mut exclusion = Exclusion { scope, by, excluded: Cell::new(ContextSet::NONE) };
        // All access goes through this pointer until the scope is over.
        let exclusion = NonNull::from(&mut exclusion);
        // SAFETY: live until it is taken off below.
        section(|cs| scope::with(cs, |scopes| unsafe { scopes.push(exclusion.cast()) }));
        // SAFETY: live, and while it is on the list nobody changes any of it but the cell.
        let exclusion = unsafe { exclusion.as_ref() };
        let over = Over(exclusion);
        let result = contexts.iter().try_for_each(|&context| {
            // A section each: the time does not add up.
            section(|cs| {
                if with_core(cs, |core| core.exclude(context))? {
                    exclusion.excluded.set(exclusion.excluded.get().with(context));
                }
                Ok(())
            })
        });
        let result = result.map(|()| work());
        drop(over);
        result
    }
}

/// The end of an exclusion: when its work is done, and where a panic unwinds, as it does on the host.
struct Over<'a>(&'a Exclusion);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        // What is unblocked would be excluded for good, were this cut off.
        guard::guarded(|| {
            section(|cs| scope::with(cs, Scopes::pop));
            self.0.unblock();
            inherit_anew();
        });
    }
}

impl Exclusion {
    /// As [`End`](crate::cpu::scope::End).
    ///
    /// # Safety
    /// As that says.
    unsafe fn end(node: NonNull<Scope>, _: Borrowed) {
        // SAFETY: an exclusion begins with its node, and nobody else uses it any more.
        unsafe { node.cast::<Self>().as_ref() }.unblock();
    }

    /// Ends the exclusion, which is off the list.
    fn unblock(&self) {
        for index in self.excluded.get().indices() {
            section(|cs| unblock(cs, index, self.by));
        }
    }
}

/// Has the running context inherit anew what its exclusions give it: its own priority has just been given back to
/// it.
pub(crate) fn inherit_anew() {
    let mut around = section(|cs| scope::with(cs, |scopes| scopes.last));
    while let Some(node) = around {
        // SAFETY: scopes on the running context's list are live, and nobody but this code takes one off; an
        // exclusion begins with its node.
        let (scope, exclusion) = unsafe {
            let scope = node.as_ref();
            (scope, scope.is_exclusion().then(|| node.cast::<Exclusion>().as_ref()))
        };
        let excluded = exclusion.map_or(ContextSet::NONE, |it| it.excluded.get());
        for index in excluded.indices() {
            // It is excluded already.
            let _ = section(|cs| {
                let context = registry::name(cs, index)?;
                with_core(cs, |core| core.exclude(context))
            });
        }
        around = scope.outer();
    }
}

/// Lets a context run again that `by` has excluded, or that waits for `by`.
pub(crate) fn unblock(cs: &Section, index: u16, by: ContextId) {
    // One that has ended meanwhile is nobody to be let go on.
    let Ok(context) = registry::name(cs, index) else { return };
    if let Ok(outcome) = with_core(cs, |core| core.unblock(context, by)) {
        note(outcome);
    }
}
