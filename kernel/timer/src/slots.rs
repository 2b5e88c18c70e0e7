//! The wheel's slots: lists of timers, and bitmaps that say which are not empty.

use crate::period::Period;
use crate::slot::{SLOTS, Slot};
use crate::store::{Entry, NIL, Store};
use core::num::NonZeroU32;

/// Enough levels for the time of a `u64` of nanoseconds rounded up to a granule: 55 bits.
const LEVELS: usize = 10;

/// A slot's list, served from its head.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

/// All slots of all levels.
pub(crate) struct Slots {
    /// Bit `l` is set while level `l` has a timer.
    levels: u32,
    /// Bit `s` of word `l` is set while slot `s` of level `l` has a timer.
    occupied: [u64; LEVELS],
    lists: [List; LEVELS * SLOTS],
}

impl Slots {
    pub(crate) const fn new() -> Self {
        let list = List { head: NIL, tail: NIL };
        Self { levels: 0, occupied: [0; LEVELS], lists: [list; LEVELS * SLOTS] }
    }

    /// The slot with the earliest timers. All timers of a level are earlier than those of the
    /// levels above, and on a level the slots ahead follow each other by number.
    #[inline]
    pub(crate) fn first(&self) -> Option<Slot> {
        let level = NonZeroU32::new(self.levels)?.trailing_zeros();
        let number = self.occupied[level as usize].trailing_zeros();
        Some(Slot((level * SLOTS as u32) | number))
    }

    /// Whether no timer is in any slot.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.levels == 0
    }

    /// The first timer of a slot that is not empty, if no other there can be due before it:
    /// because it is alone, or because all are of one granule.
    #[inline]
    pub(crate) fn earliest(&self, slot: Slot) -> Option<u32> {
        let List { head, tail } = self.lists[slot.index()];
        (head == tail || slot.level() == 0).then_some(head)
    }

    /// The first timer of a slot, or `NIL`.
    #[inline]
    pub(crate) fn first_of(&self, slot: Slot) -> u32 {
        self.lists[slot.index()].head
    }

    /// Puts a timer that is in no slot behind all others of `slot`. The caller must then
    /// [`follow`](Store::follow) the timer that was the last until now, which is returned: the
    /// entry is borrowed meanwhile, which spares looking it up twice.
    #[inline]
    #[must_use]
    pub(crate) fn append<T, P>(&mut self, entry: &mut Entry<T, P>, index: u32, slot: Slot) -> u32 {
        let list = &mut self.lists[slot.index()];
        let last = core::mem::replace(&mut list.tail, index);
        entry.place = slot;
        entry.previous = last;
        entry.next = NIL;
        if last == NIL {
            list.head = index;
            self.occupy(slot);
        }
        last
    }

    /// Puts a timer that is in no slot before all others of `slot`. The caller must then tell the one that was the
    /// first until now, which is returned, that the timer [`leads`](Store::lead) it.
    #[inline]
    #[must_use]
    pub(crate) fn prepend<T, P>(&mut self, entry: &mut Entry<T, P>, index: u32, slot: Slot) -> u32 {
        let list = &mut self.lists[slot.index()];
        let first = core::mem::replace(&mut list.head, index);
        entry.place = slot;
        entry.previous = NIL;
        entry.next = first;
        if first == NIL {
            list.tail = index;
            self.occupy(slot);
        }
        first
    }

    /// Takes the first timer, `entry`, out of `slot`, and leaves its place to be set. The caller
    /// must then tell the one behind it, which is returned, that it [`leads`](Store::lead).
    #[inline]
    #[must_use]
    pub(crate) fn take_first<T, P>(&mut self, entry: &Entry<T, P>, slot: Slot) -> u32 {
        let list = &mut self.lists[slot.index()];
        list.head = entry.next;
        if entry.next == NIL {
            list.tail = NIL;
            self.vacate(slot);
        }
        entry.next
    }

    /// Takes a timer out of its slot, wherever it is there.
    #[inline]
    pub(crate) fn detach<T: Copy, P: Period>(&mut self, store: &mut Store<T, P>, index: u32) {
        let entry = store.entry_mut(index);
        let slot = core::mem::replace(&mut entry.place, Slot::NONE);
        let (previous, next) = (entry.previous, entry.next);
        let list = &mut self.lists[slot.index()];
        if next == NIL {
            list.tail = previous;
        }
        if previous == NIL {
            list.head = next;
            if next == NIL {
                self.vacate(slot);
            }
        }
        store.join(previous, next);
    }

    /// Marks a slot as holding a timer.
    #[inline]
    fn occupy(&mut self, slot: Slot) {
        let level = slot.level();
        self.occupied[level as usize] |= 1 << (slot.0 % SLOTS as u32);
        self.levels |= 1 << level;
    }

    /// Marks a slot as empty.
    #[inline]
    fn vacate(&mut self, slot: Slot) {
        let level = slot.level();
        let occupied = &mut self.occupied[level as usize];
        *occupied &= !(1 << (slot.0 % SLOTS as u32));
        if *occupied == 0 {
            self.levels &= !(1 << level);
        }
    }
}
