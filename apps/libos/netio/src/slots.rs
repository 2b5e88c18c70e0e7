//! Sets of links.

/// Links that an endpoint can have.
pub const MOST_LINKS: u16 = 256;
const WORDS: usize = MOST_LINKS as usize / 64;

/// A set of places of links.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Slots([u64; WORDS]);

impl Slots {
    fn place(slot: u16) -> (usize, u64) {
        (usize::from(slot) / 64 % WORDS, 1 << (slot % 64))
    }

    /// Puts `slot` in, or takes it out.
    pub(crate) fn set(&mut self, slot: u16, member: bool) {
        let (word, bit) = Self::place(slot);
        if member {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }

    pub(crate) fn contains(&self, slot: u16) -> bool {
        let (word, bit) = Self::place(slot);
        self.0[word] & bit != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// Those of either.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(core::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(core::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// Those that are not in the other.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(core::array::from_fn(|at| self.0[at] & !other.0[at]))
    }
}

/// In order.
impl Iterator for Slots {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        let word = self.0.iter().position(|word| *word != 0)?;
        let bit = self.0[word].trailing_zeros();
        self.0[word] &= self.0[word] - 1;
        Some(word as u16 * 64 + bit as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn they_are_sets(
            a in prop::collection::btree_set(0..MOST_LINKS, 0..40),
            b in prop::collection::btree_set(0..MOST_LINKS, 0..40),
        ) {
            let of = |members: &BTreeSet<u16>| {
                let mut slots = Slots::default();
                members.iter().for_each(|slot| slots.set(*slot, true));
                slots
            };
            let same = |slots: Slots, members: BTreeSet<u16>| {
                slots.is_empty() == members.is_empty()
                    && slots.collect::<BTreeSet<_>>() == members
            };
            prop_assert!(same(of(&a), a.clone()));
            prop_assert!(same(of(&a).or(of(&b)), &a | &b));
            prop_assert!(same(of(&a).and(of(&b)), &a & &b));
            prop_assert!(same(of(&a).without(of(&b)), &a - &b));
            prop_assert!(a.iter().all(|slot| of(&a).contains(*slot)));
        }
    }
}
