//! Work that some contexts' handlers may not interrupt.
//!
//! The contexts are held while the work lasts; all others may interrupt it. Whatever is activated
//! for them meanwhile lends its priority to the context that does the work.

use crate::dispatch::{note, running, with_core};
use crate::registry;
use crate::runtime::Runtime;
use crate::section::{Section, section};
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
        let by = section(running).ok_or(Error::Busy)?;
        let mut exclusion = Exclusion { by, excluded: ContextSet::NONE };
        for &context in contexts {
            // A section each: the time does not add up.
            section(|cs| {
                if with_core(cs, |core| core.exclude(context))? {
                    exclusion.excluded = exclusion.excluded.with(context);
                    let excluding = &registry::at(cs, by)?.excluding;
                    excluding.set(cs, excluding.get(cs).with(context));
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
            section(|cs| readmit(cs, index, self.by));
        }
        // An exclusion around this one may have lent a priority, which has just been given back.
        // SAFETY: in a section, and the borrow ends in it.
        let outer = section(|cs| registry::at(cs, self.by).map(|place| place.excluding.get(cs)));
        for index in outer.unwrap_or_default().indices() {
            let _ = section(|cs| with_core(cs, |core| core.exclude(registry::name(cs, index)?)));
        }
    }
}

///
fn readmit(cs: &Section, index: u16, by: ContextId) {
    if let Ok(place) = registry::at(cs, by) {
        let mut excluding = place.excluding.get(cs);
        excluding.remove(index);
        place.excluding.set(cs, excluding);
    }
    // One that has ended meanwhile is nobody to be let go on.
    let Ok(context) = registry::name(cs, index) else { return };
    if let Ok(outcome) = with_core(cs, |core| core.readmit(context, by)) {
        note(outcome);
    }
}

/// Ends an exclusion by a context that has been given up; true when there was one, and there may
/// be more.
pub(crate) fn readmit_one(cs: &Section, by: ContextId) -> bool {
    let excluding = registry::at(cs, by).map(|place| place.excluding.get(cs)).unwrap_or_default();
    let index = excluding.indices().next();
    index.inspect(|index| readmit(cs, *index, by)).is_some()
}
