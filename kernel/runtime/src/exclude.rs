//! Work that some contexts' handlers may not interrupt.
//!
//! The contexts are held while the work lasts; all others may interrupt it. Whatever is activated
//! for them meanwhile lends its priority to the context that does the work.

use crate::dispatch::{CORE, note};
use crate::registry;
use crate::runtime::Runtime;
use crate::section::section;
use reflex_event::{ContextId, Error};

/// Contexts, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContextSet([u64; registry::MOST_CONTEXTS / 64]);

impl ContextSet {
    /// No context.
    pub const NONE: Self = Self([0; registry::MOST_CONTEXTS / 64]);

    /// The same contexts and `context`.
    #[must_use]
    pub const fn with(mut self, context: ContextId) -> Self {
        self.0[context.index as usize / 64] |= 1 << (context.index % 64);
        self
    }

    pub(crate) fn insert(&mut self, index: u16) {
        self.0[usize::from(index / 64)] |= 1 << (index % 64);
    }

    pub(crate) fn remove(&mut self, index: u16) {
        self.0[usize::from(index / 64)] &= !(1 << (index % 64));
    }

    /// The places of the contexts, the lowest first.
    pub(crate) fn indices(self) -> impl Iterator<Item = u16> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let word = left.iter().position(|bits| *bits != 0)?;
            let bit = left[word].trailing_zeros();
            left[word] &= left[word] - 1;
            Some((word as u16) * 64 + bit as u16)
        })
    }
}

/// Ends exclusions when dropped: also when the work is left in an unusual way.
struct Exclusion {
    by: ContextId,
    excluded: ContextSet,
}

impl Runtime {
    /// Runs `work`, during which no handler of `contexts` runs; one that was preempted goes on
    /// after it. Exclusions nest.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when the running context is one of them, when another
    /// excludes one of them, or when dispatch is deferred. The work has not been done.
    pub fn exclude<R>(self, contexts: &[ContextId], work: impl FnOnce() -> R) -> Result<R, Error> {
        // SAFETY: in a section, and the borrow ends in it.
        let by = section(|| unsafe { CORE.get() }.running()).ok_or(Error::Busy)?;
        let mut exclusion = Exclusion { by, excluded: ContextSet::NONE };
        for &context in contexts {
            // A section each: the time does not add up.
            section(|| {
                // SAFETY: in a section, and the borrow ends in this statement.
                if unsafe { CORE.get() }.exclude(context)? {
                    exclusion.excluded = exclusion.excluded.with(context);
                    let place = registry::at(by)?;
                    place.excluding = place.excluding.with(context);
                }
                Ok(())
            })?;
        }
        Ok(work())
    }
}

impl Drop for Exclusion {
    fn drop(&mut self) {
        for index in self.excluded.indices() {
            section(|| readmit(index, self.by));
        }
        // An exclusion around this one may have lent a priority, which has just been given back.
        // SAFETY: in a section, and the borrow ends in it.
        let outer = section(|| registry::at(self.by).map(|place| place.excluding));
        for index in outer.unwrap_or_default().indices() {
            // SAFETY: in a section, and the borrow ends in it. It is excluded already.
            let _ = section(|| unsafe { CORE.get() }.exclude(registry::name(index)?));
        }
    }
}

/// The caller is in a section.
fn readmit(index: u16, by: ContextId) {
    if let Ok(place) = registry::at(by) {
        place.excluding.remove(index);
    }
    // One that has ended meanwhile is nobody to be let go on.
    let Ok(context) = registry::name(index) else { return };
    // SAFETY: in a section, and the borrow ends in this statement.
    if let Ok(outcome) = unsafe { CORE.get() }.readmit(context, by) {
        note(outcome);
    }
}

/// Ends an exclusion by a context that has been given up; true when there was one, and there may
/// be more. The caller is in a section.
pub(crate) fn readmit_one(by: ContextId) -> bool {
    let excluding = registry::at(by).map(|place| place.excluding).unwrap_or_default();
    let index = excluding.indices().next();
    index.inspect(|index| readmit(*index, by)).is_some()
}
