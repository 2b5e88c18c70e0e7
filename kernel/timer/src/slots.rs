//! The wheel's slots: lists of timers, and bitmaps that say which are not empty.

use crate::store::{Entry, NIL, Store};
use core::num::NonZeroU32;

/// Bits of the time that a level stands for, and so 64 slots a level: one word of bitmap.
pub(crate) const LEVEL_BITS: u32 = 6;
/// Enough levels for the time of a `u64` of nanoseconds rounded up to a granule: 55 bits.
const LEVELS: usize = 10;
const SLOTS: usize = 1 << LEVEL_BITS;

/// A slot's list, served from its head.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

/// A slot: its level and its number there, as `level * 64 + number`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// The place of a timer that is in no slot.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Where a timer of `tick` waits when the wheel's time is `now`, which is not later: on
    /// the level of the highest digit in which the two differ.
    #[inline]
    pub(crate) fn of(tick: u64, now: u64) -> Self {
        let Level { first, shift } = LEVEL_OF[((tick ^ now) | 1).ilog2() as usize];
        Self(u32::from(first) | ((tick >> shift) as u32 % SLOTS as u32))
    }

    /// Its level; level 0 has slots of one granule.
    #[inline]
    pub(crate) fn level(self) -> u32 {
        self.0 / SLOTS as u32
    }

    /// The first tick of the slot that is ahead of `now`.
    #[inline]
    pub(crate) fn start(self, now: u64) -> u64 {
        let shift = self.level() * LEVEL_BITS;
        let number = u64::from(self.0) % SLOTS as u64;
        // Of the time now, the digits above the level's own stay.
        (now >> shift & !(SLOTS as u64 - 1) | number) << shift
    }

    #[inline]
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What places a timer on a level.
#[derive(Clone, Copy)]
struct Level {
    /// The level's first slot.
    first: u16,
    /// Bits of the time below the level's digit.
    shift: u8,
}

/// The level of each bit of the time: cheaper to look up than to divide for.
const LEVEL_OF: [Level; 64] = {
    let mut levels = [Level { first: 0, shift: 0 }; 64];
    let mut bit = 0;
    while bit < 64 {
        let level = bit / LEVEL_BITS as usize;
        levels[bit] =
            Level { first: (level * SLOTS) as u16, shift: (level * LEVEL_BITS as usize) as u8 };
        bit += 1;
    }
    levels
};

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
    pub(crate) fn append<T>(&mut self, entry: &mut Entry<T>, index: u32, slot: Slot) -> u32 {
        let list = &mut self.lists[slot.index()];
        let last = core::mem::replace(&mut list.tail, index);
        entry.place = slot;
        entry.previous = last;
        entry.next = NIL;
        if last == NIL {
            list.head = index;
            let level = slot.level();
            self.occupied[level as usize] |= 1 << (slot.0 % SLOTS as u32);
            self.levels |= 1 << level;
        }
        last
    }

    /// Puts a timer into `slot` while no timer is in any.
    #[inline]
    pub(crate) fn put_alone<T>(&mut self, entry: &mut Entry<T>, index: u32, slot: Slot) {
        self.lists[slot.index()] = List { head: index, tail: index };
        entry.place = slot;
        entry.previous = NIL;
        entry.next = NIL;
        let level = slot.level();
        self.occupied[level as usize] = 1 << (slot.0 % SLOTS as u32);
        self.levels = 1 << level;
    }

    /// Takes the first timer, `entry`, out of `slot`, and leaves its place to be set. The caller
    /// must then tell the one behind it, which is returned, that it [`leads`](Store::lead).
    #[inline]
    #[must_use]
    pub(crate) fn take_first<T>(&mut self, entry: &Entry<T>, slot: Slot) -> u32 {
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
    pub(crate) fn detach<T: Copy>(&mut self, store: &mut Store<T>, index: u32) {
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
