//! The communications of a port, found by the names they have here.
//!
//! A communication ID is a slot's number and how often the slot was used before, disguised: it is
//! not used again for long, and nobody can guess the ones to come without having seen one.

use super::communication::Communication;
use alloc::boxed::Box;
use alloc::vec;
use core::ops::{Index, IndexMut};
use reflex_rdma_wire::cm::CommId;

#[derive(Debug)]
pub(super) struct Table {
    slots: Box<[Communication]>,
    /// How often each slot was used before, and whether it is in use.
    uses: Box<[(u32, bool)]>,
    /// Free slots, a ring: the one that was free the longest is taken.
    free: Box<[u32]>,
    first_free: usize,
    free_count: usize,
    /// Bits of a slot's number.
    bits: u32,
    disguise: u32,
}

impl Table {
    /// Of so many slots, at most 2^16. The first communication ID is given.
    pub(super) fn new(slots: usize, first_id: u32) -> Self {
        Self {
            slots: vec![Communication::none(); slots].into_boxed_slice(),
            uses: vec![(0, false); slots].into_boxed_slice(),
            free: (0..slots as u32).collect(),
            first_free: 0,
            free_count: slots,
            bits: slots.next_power_of_two().ilog2(),
            disguise: first_id,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free_count
    }

    /// Takes a free slot.
    pub(super) fn take(&mut self) -> Option<usize> {
        if self.free_count == 0 {
            return None;
        }
        let slot = self.free[self.first_free] as usize;
        self.first_free = (self.first_free + 1) % self.free.len();
        self.free_count -= 1;
        self.uses[slot].1 = true;
        if self.id(slot) == CommId(0) {
            // Zero stands for a name that is not known.
            self.uses[slot].0 += 1;
        }
        Some(slot)
    }

    /// Gives a slot back: its name means nothing any more.
    pub(super) fn give_back(&mut self, slot: usize) {
        let (uses, is_taken) = &mut self.uses[slot];
        debug_assert!(*is_taken);
        *uses = uses.wrapping_add(1) & (u32::MAX >> self.bits);
        *is_taken = false;
        self.free[(self.first_free + self.free_count) % self.slots.len()] = slot as u32;
        self.free_count += 1;
    }

    /// A taken slot's name.
    pub(super) fn id(&self, slot: usize) -> CommId {
        CommId((self.uses[slot].0 << self.bits | slot as u32) ^ self.disguise)
    }

    /// The slot of that name, if it is still its name.
    pub(super) fn find(&self, id: CommId) -> Option<usize> {
        let slot = ((id.0 ^ self.disguise) & !(u32::MAX << self.bits)) as usize;
        let is_taken = self.uses.get(slot)?.1;
        (is_taken && self.id(slot) == id).then_some(slot)
    }

    /// Every name.
    pub(super) fn ids(&self) -> impl Iterator<Item = CommId> + '_ {
        let taken = self.uses.iter().enumerate().filter(|(_, uses)| uses.1);
        taken.map(|(slot, _)| self.id(slot))
    }
}

impl Index<usize> for Table {
    type Output = Communication;

    fn index(&self, slot: usize) -> &Communication {
        &self.slots[slot]
    }
}

impl IndexMut<usize> for Table {
    fn index_mut(&mut self, slot: usize) -> &mut Communication {
        &mut self.slots[slot]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_zero_and_not_soon_the_same() {
        for (slots, first) in [(1, 0), (1, 1), (3, 2), (64, 0xdead_beef), (1 << 16, 7)] {
            let mut table = Table::new(slots, first);
            let mut seen = std::collections::HashSet::new();
            for _ in 0..3000 {
                let slot = table.take().expect("a free slot");
                let id = table.id(slot);
                assert!(id != CommId(0) && seen.insert(id), "{id:?} again");
                assert_eq!(table.find(id), Some(slot));
                table.give_back(slot);
                assert_eq!(table.find(id), None);
            }
        }
    }

    #[test]
    fn the_name_after_the_last_is_the_first() {
        let mut table = Table::new(1, 0);
        table.uses[0].0 = u32::MAX;
        assert_eq!(table.take(), Some(0));
        assert_eq!(table.id(0), CommId(u32::MAX));
        table.give_back(0);
        assert_eq!(table.take(), Some(0));
        assert_eq!(table.id(0), CommId(1), "zero is left out");
        assert_eq!(table.take(), None);
        for id in [0, 2, 3, u32::MAX] {
            assert_eq!(table.find(CommId(id)), None);
        }
    }
}
