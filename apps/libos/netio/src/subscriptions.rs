//! Which links have asked for which tags.

use crate::Tags;
use crate::slots::Slots;
use alloc::vec::Vec;
use hashbrown::HashMap;
use reflex_collections::Keyed;

/// Masks that a publisher's subscriptions can have: a message is looked for under each.
pub(crate) const MASKS: usize = 16;

/// All subscriptions of a publisher's subscribers. Each message is looked for once under each mask, and so found
/// in a time that does not grow with them.
pub(crate) struct Subscriptions {
    asked: HashMap<Tags, Slots, Keyed>,
    /// Masks there are, and the tags that have each.
    masks: Vec<(u64, u32)>,
    limit: usize,
}

/// There is no room for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

impl Subscriptions {
    /// Room for `limit` different ones.
    pub(crate) fn new(limit: usize, hash: Keyed) -> Self {
        let asked = HashMap::with_capacity_and_hasher(limit, hash);
        Self { asked, masks: Vec::with_capacity(MASKS), limit }
    }

    /// The links that a message goes to.
    #[inline]
    pub(crate) fn audience(&self, tag: u64) -> Slots {
        let mut audience = Slots::default();
        for (mask, _) in &self.masks {
            if let Some(slots) = self.asked.get(&Tags::masked(tag, *mask)) {
                audience = audience.or(*slots);
            }
        }
        audience
    }

    /// Adds one; false if there is one like that.
    pub(crate) fn add(&mut self, tags: Tags, slot: u16) -> Result<bool, Full> {
        if let Some(slots) = self.asked.get_mut(&tags) {
            let new = !slots.contains(slot);
            slots.set(slot, true);
            return Ok(new);
        }
        if self.asked.len() == self.limit {
            return Err(Full);
        }
        match self.masks.iter().position(|(mask, _)| *mask == tags.mask()) {
            Some(at) => self.masks[at].1 += 1,
            None if self.masks.len() == MASKS => return Err(Full),
            None => self.masks.push((tags.mask(), 1)),
        }
        let mut slots = Slots::default();
        slots.set(slot, true);
        self.asked.insert(tags, slots);
        Ok(true)
    }

    /// Takes one away; false if there is none like that.
    pub(crate) fn remove(&mut self, tags: Tags, slot: u16) -> bool {
        let Some(slots) = self.asked.get_mut(&tags).filter(|slots| slots.contains(slot)) else {
            return false;
        };
        slots.set(slot, false);
        if slots.is_empty() {
            self.asked.remove(&tags);
            let at = self.masks.iter().position(|(mask, _)| *mask == tags.mask());
            if let Some(at) = at {
                self.masks[at].1 -= 1;
                if self.masks[at].1 == 0 {
                    self.masks.swap_remove(at);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn some_tags() -> impl Strategy<Value = Tags> {
        let mask = prop::sample::select(std::vec![u64::MAX, 0, 0xf0, 0x0f, 0xff]);
        (0u64..256, mask).prop_map(|(value, mask)| Tags::masked(value, mask))
    }

    proptest! {
        #[test]
        fn a_message_goes_to_all_that_asked_for_it(
            steps in prop::collection::vec((any::<bool>(), some_tags(), 0u16..200), 0..200),
            tag in 0u64..256,
        ) {
            let mut table = Subscriptions::new(64, Keyed::new([3; 16]));
            let mut model = BTreeSet::new();
            for (add, tags, slot) in steps {
                let different = model.iter().map(|(tags, _)| *tags).collect::<BTreeSet<Tags>>();
                if add {
                    let full = different.len() == 64 && !different.contains(&tags);
                    match table.add(tags, slot) {
                        Ok(new) => prop_assert_eq!(new, model.insert((tags, slot))),
                        Err(Full) => prop_assert!(full),
                    }
                } else {
                    prop_assert_eq!(table.remove(tags, slot), model.remove(&(tags, slot)));
                }
            }
            let asked = model.iter().filter(|(tags, _)| tags.contain(tag)).map(|(_, slot)| *slot);
            let expected: BTreeSet<u16> = asked.collect();
            prop_assert_eq!(table.audience(tag).collect::<BTreeSet<u16>>(), expected);
        }
    }

    #[test]
    fn there_are_so_many_masks() {
        let mut table = Subscriptions::new(64, Keyed::new([3; 16]));
        for bit in 0..MASKS as u64 {
            assert_eq!(table.add(Tags::masked(0, 1 << bit), 0), Ok(true));
        }
        assert_eq!(table.add(Tags::masked(0, 1 << 40), 0), Err(Full));
        assert!(table.remove(Tags::masked(0, 1), 0));
        assert_eq!(table.add(Tags::masked(0, 1 << 40), 0), Ok(true));
    }
}
