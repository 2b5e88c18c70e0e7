//! Finds a slot by a name that a peer chose: a hash table of fixed size, keyed, so that nobody can
//! choose names that meet.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{Hash, Hasher};
use siphasher::sip::SipHasher13;

const NONE: u32 = u32::MAX;

/// Which slot has a name. Each slot has at most one.
#[derive(Debug)]
pub(super) struct Index<K> {
    hasher: SipHasher13,
    /// The first slot of each chain, a power of two of them.
    heads: Box<[u32]>,
    /// By slot, the next of its chain.
    next: Box<[u32]>,
    /// By slot, its name.
    names: Box<[Option<K>]>,
}

impl<K: Copy + Eq + Hash> Index<K> {
    pub(super) fn new(slots: usize, secret: &[u8; 16]) -> Self {
        Self {
            hasher: SipHasher13::new_with_key(secret),
            heads: vec![NONE; slots.next_power_of_two()].into_boxed_slice(),
            next: vec![NONE; slots].into_boxed_slice(),
            names: vec![None; slots].into_boxed_slice(),
        }
    }

    fn chain(&self, name: &K) -> usize {
        let mut hasher = self.hasher;
        name.hash(&mut hasher);
        hasher.finish() as usize & (self.heads.len() - 1)
    }

    /// The slot of that name.
    pub(super) fn find(&self, name: &K) -> Option<usize> {
        let mut at = self.heads[self.chain(name)];
        while at != NONE {
            let slot = at as usize;
            if self.names[slot].as_ref() == Some(name) {
                return Some(slot);
            }
            at = self.next[slot];
        }
        None
    }

    /// Gives a slot that has no name one that no other has.
    pub(super) fn insert(&mut self, slot: usize, name: K) {
        debug_assert!(self.names[slot].is_none() && self.find(&name).is_none());
        let chain = self.chain(&name);
        self.names[slot] = Some(name);
        self.next[slot] = core::mem::replace(&mut self.heads[chain], slot as u32);
    }

    /// Takes a slot's name, if it has one.
    pub(super) fn remove(&mut self, slot: usize) {
        let Some(name) = self.names[slot].take() else { return };
        let chain = self.chain(&name);
        let after = self.next[slot];
        let mut at = self.heads[chain];
        if at == slot as u32 {
            self.heads[chain] = after;
            return;
        }
        while at != NONE {
            let here = at as usize;
            at = self.next[here];
            if at == slot as u32 {
                self.next[here] = after;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn finds_what_a_list_would(steps in prop::collection::vec((0..12_usize, 0..30_u32), 0..200)) {
            let mut index = Index::new(12, &[7; 16]);
            let mut list: Vec<Option<u32>> = vec![None; 12];
            for (slot, name) in steps {
                if list[slot].is_some() {
                    index.remove(slot);
                    list[slot] = None;
                } else if !list.contains(&Some(name)) {
                    index.insert(slot, name);
                    list[slot] = Some(name);
                }
                for name in 0..30 {
                    prop_assert_eq!(index.find(&name), list.iter().position(|it| *it == Some(name)));
                }
            }
        }
    }
}
