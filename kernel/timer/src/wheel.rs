//! The wheel: reserving, arming and disarming timers.

use crate::Error;
use crate::period::Period;
use crate::slot::Slot;
use crate::slots::Slots;
use crate::store::{Chunk, NIL, Store, TimerKey};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU64;

/// Nanoseconds in a granule. Deadlines are rounded up to a multiple: a timer never fires early
/// and, by the wheel's own doing, less than this late.
pub const GRANULARITY_NS: u64 = 1 << GRANULARITY_BITS;

/// A binary logarithm, so that rounding is a shift.
pub(crate) const GRANULARITY_BITS: u32 = 10;

/// Timers with a `T` each, which is what the owner is told when one fires; with periods, unless they are
/// [`Once`](crate::Once).
///
/// Everything takes constant time and no memory, however many timers there are: its owner
/// [supplies](Self::supply) it with room for them.
pub struct Wheel<T, P = u64> {
    pub(crate) store: Store<T, P>,
    pub(crate) slots: Slots,
    /// The wheel's time in granules: no timer is earlier, and slots are ahead of it.
    pub(crate) time: u64,
    /// Where the time goes next: while a slot is being cascaded, its first granule, otherwise
    /// the same as `time`. Timers that leave the slot are placed as seen from here. The time itself
    /// follows when the slot is empty: a timer that is armed for it meanwhile joins its end, behind
    /// those that were there before.
    pub(crate) target: u64,
    /// The timer that is due before all others, of those of its granule the first: it is in no slot, so that a
    /// timer alone, and one that is always armed for the nearest time, never goes through the levels. [`NIL`]
    /// when the first is in a slot, or there is none.
    pub(crate) front: u32,
    /// The granule of the front. Without one, a granule that no timer is before.
    pub(crate) bound: u64,
}

impl<T: Copy, P: Period> Wheel<T, P> {
    /// A wheel at time 0 for at most `limit` timers, rounded up to whole chunks of 128. For
    /// each chunk 8 bytes are allocated now; the chunks are [supplied](Self::supply), and stay.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`].
    pub fn new(limit: usize) -> Result<Self, Error> {
        Ok(Self::of(Store::new(limit)?))
    }

    /// [`new`](Self::new), in a block of its own: a wheel has some 5 KiB, of which no more than one copy is on the
    /// stack.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[inline(never)]
    pub fn boxed(limit: usize) -> Result<Box<[Self; 1]>, Error> {
        let store = Store::new(limit)?;
        let mut place = Vec::new();
        place.try_reserve_exact(1).map_err(|_| Error::HeapExhausted)?;
        place.push(Self::of(store));
        place.into_boxed_slice().try_into().map_err(|_| Error::HeapExhausted)
    }

    #[inline(always)]
    fn of(store: Store<T, P>) -> Self {
        Self { store, slots: Slots::new(), time: 0, target: 0, front: NIL, bound: 0 }
    }

    /// Whether the next [`insert`](Self::insert) needs a chunk first; see
    /// [`supply`](Self::supply).
    ///
    /// # Errors
    /// [`Error::TableFull`] when there is room for neither.
    pub fn needs_chunk(&self) -> Result<bool, Error> {
        self.store.needs_chunk()
    }

    /// Gives the wheel room for more timers; gives it back when the wheel has all it may have.
    pub fn supply(&mut self, chunk: Chunk<T, P>) -> Option<Chunk<T, P>> {
        self.store.supply(chunk)
    }

    /// Reserves a timer that will fire with `payload`. It is not armed.
    ///
    /// # Errors
    /// [`Error::TableFull`], also when the wheel [needs a chunk](Self::needs_chunk) first.
    pub fn insert(&mut self, payload: T) -> Result<TimerKey, Error> {
        self.store.insert(payload)
    }

    /// Whether the key names a timer, armed or not.
    pub fn contains(&mut self, key: TimerKey) -> bool {
        self.store.get_mut(key).is_ok()
    }

    /// Arms a timer for `deadline` (nanoseconds), and with a `period` (nanoseconds) for every
    /// such time after it. What it was armed for before is forgotten.
    ///
    /// A deadline that the wheel's time has passed fires at the next
    /// [`expire`](Self::expire), as if it were for that time. Those armed for the same granule
    /// fire in the order of arming; a periodic timer arms itself anew when it fires.
    ///
    /// Returns the granule at the beginning of which it is due. That of `u64::MAX` begins after all
    /// time.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn arm(
        &mut self,
        key: TimerKey,
        deadline: u64,
        period: Option<NonZeroU64>,
    ) -> Result<u64, Error> {
        let entry = self.store.get_mut(key)?;
        let tick = granule_of(deadline).max(self.target);
        entry.deadline = deadline;
        entry.tick = tick;
        entry.period = P::new(period);
        if entry.place == Slot::FRONT && (tick < self.bound || self.slots.is_empty()) {
            self.bound = tick;
            return Ok(tick);
        }
        let slot = Slot::of(tick, self.time);
        if entry.place == Slot::NONE && self.front != NIL && tick >= self.bound {
            self.put(key.index, slot);
        } else if entry.place != slot || entry.next != NIL || tick < self.bound {
            // Else it is where it is to go already: the last of its slot.
            self.shift(key.index, tick, slot);
        }
        Ok(tick)
    }

    /// Puts a timer that is due in granule `tick` before all others, or behind all others of `slot`, out of where it
    /// may be.
    #[inline(never)]
    fn shift(&mut self, index: u32, tick: u64, slot: Slot) {
        match self.store.entry(index).place {
            Slot::NONE => {}
            Slot::FRONT => self.front = NIL,
            _ => self.slots.detach(&mut self.store, index),
        }
        if tick < self.bound {
            if self.front != NIL {
                self.put_back_front();
            }
        } else if self.front != NIL || !self.slots.is_empty() {
            return self.put(index, slot);
        }
        self.set_front(index, tick);
    }

    /// Makes a timer that is in no slot the one before all others, which it is.
    #[inline]
    pub(crate) fn set_front(&mut self, index: u32, tick: u64) {
        self.store.entry_mut(index).place = Slot::FRONT;
        self.front = index;
        self.bound = tick;
    }

    /// Puts the front into its slot: another is due before it. There it stays before those of its granule, which
    /// were armed later.
    fn put_back_front(&mut self) {
        let (index, slot) = (self.front, Slot::of(self.bound, self.time));
        let first = self.slots.prepend(self.store.entry_mut(index), index, slot);
        self.store.lead(index, first);
    }

    /// Disarms a timer, which stays reserved; true when it was armed.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn disarm(&mut self, key: TimerKey) -> Result<bool, Error> {
        let armed = self.store.get_mut(key)?.place != Slot::NONE;
        if armed {
            self.take_out(key.index);
        }
        Ok(armed)
    }

    /// Takes a timer that is armed out of where it is. What is left is not before the bound.
    #[inline]
    fn take_out(&mut self, index: u32) {
        if index == self.front {
            self.store.entry_mut(index).place = Slot::NONE;
            self.front = NIL;
        } else {
            self.slots.detach(&mut self.store, index);
        }
    }

    /// Disarms a timer and gives its place back; its key is stale from now on.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn remove(&mut self, key: TimerKey) -> Result<T, Error> {
        self.disarm(key)?;
        Ok(self.store.remove(key.index))
    }

    /// What a timer was reserved with, to be changed.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn payload_mut(&mut self, key: TimerKey) -> Result<&mut T, Error> {
        self.store.get_mut(key).map(|entry| &mut entry.payload)
    }

    /// The timer at a place in the table, for code that keeps places alone.
    ///
    /// # Errors
    /// [`Error::Stale`] when none is there.
    pub fn at(&self, index: u32) -> Result<(TimerKey, &T), Error> {
        self.store.at(index)
    }

    /// When [`expire`](Self::expire) should be called next, in nanoseconds; `None` while no
    /// timer is armed.
    ///
    /// Never later than the next timer. Within 64 granules, and when the next timer has its slot
    /// to itself, it is that timer's time exactly; else it may be the start of a slot that has
    /// to be spread over finer ones by then, at which nothing may fire yet.
    pub fn next_expiry(&self) -> Option<u64> {
        self.next_granule().map(|granule| granule.saturating_mul(GRANULARITY_NS))
    }

    /// [`next_expiry`](Self::next_expiry) in granules.
    #[inline(never)]
    pub(crate) fn next_granule(&self) -> Option<u64> {
        if self.front != NIL {
            return Some(self.bound);
        }
        if self.target != self.time {
            return Some(self.target);
        }
        let slot = self.slots.first()?;
        Some(match self.slots.earliest(slot) {
            Some(index) => self.store.entry(index).tick,
            None => slot.start(self.time),
        })
    }

    /// Puts a timer that is in no slot behind all others of `slot`.
    #[inline(never)]
    pub(crate) fn put(&mut self, index: u32, slot: Slot) {
        let last = self.slots.append(self.store.entry_mut(index), index, slot);
        self.store.follow(last, index);
    }
}

/// The granule for a deadline: the first that begins no earlier.
#[inline]
pub(crate) fn granule_of(deadline: u64) -> u64 {
    deadline.div_ceil(GRANULARITY_NS)
}
