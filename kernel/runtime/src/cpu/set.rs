//! Sets of contexts.

use reflex_event::{ContextId, Core};

/// The most contexts there can be.
pub(crate) const MOST_CONTEXTS: usize = Core::<(), ()>::MOST_CONTEXTS;

/// Contexts, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContextSet([u64; MOST_CONTEXTS / 64]);

impl ContextSet {
    /// No context.
    pub const NONE: Self = Self([0; MOST_CONTEXTS / 64]);

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
