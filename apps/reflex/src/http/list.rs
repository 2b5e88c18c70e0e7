//! Lists of connections' slots: constant time, and no memory but the links.

use alloc::boxed::Box;
use alloc::vec;

const NONE: u32 = u32::MAX;

/// The links of all slots, of which each is in one list at most.
pub(super) struct Links(Box<[Link]>);

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
}

/// Slots, in the order in which they came.
#[derive(Clone, Copy)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl Links {
    pub(super) fn new(slots: usize) -> Self {
        Self(vec![Link { next: NONE, previous: NONE }; slots].into_boxed_slice())
    }
}

impl List {
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Appends a slot that is in no list.
    pub(super) fn push(&mut self, slot: u32, links: &mut Links) {
        links.0[slot as usize] = Link { next: NONE, previous: self.last };
        match links.0.get_mut(self.last as usize) {
            Some(last) => last.next = slot,
            None => self.first = slot,
        }
        self.last = slot;
    }

    pub(super) fn pop(&mut self, links: &mut Links) -> Option<u32> {
        let slot = self.first;
        (slot != NONE).then(|| {
            self.remove(slot, links);
            slot
        })
    }

    /// Takes a slot out that is in this list.
    pub(super) fn remove(&mut self, slot: u32, links: &mut Links) {
        let Link { next, previous } = links.0[slot as usize];
        match links.0.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.first = next,
        }
        match links.0.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => self.last = previous,
        }
    }
}
