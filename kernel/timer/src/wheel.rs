//! The wheel: reserving, arming and disarming timers.

use crate::Error;
use crate::slots::{Slot, Slots};
use crate::store::{Store, TimerKey, UNARMED};
use core::num::NonZeroU64;

/// Nanoseconds in a granule. Deadlines are rounded up to a multiple: a timer never fires early
/// and, by the wheel's own doing, less than this late.
pub const GRANULARITY_NS: u64 = 1 << GRANULARITY_BITS;

/// A binary logarithm, so that rounding is a shift.
pub(crate) const GRANULARITY_BITS: u32 = 10;

/// Timers with a `T` each, which is what the owner is told when one fires.
///
/// [`insert`](Self::insert) is for cold paths. Everything else takes constant time and no
/// memory, however many timers there are.
pub struct Wheel<T> {
    pub(crate) store: Store<T>,
    pub(crate) slots: Slots,
    /// The wheel's time in granules: no timer is earlier, and slots are ahead of it.
    pub(crate) time: u64,
    /// Where the time goes next: while a slot is being cascaded, its first granule, otherwise
    /// the same as `time`. Timers that leave the slot are placed as seen from here. The time
    /// itself follows when the slot is empty: whoever is armed for it meanwhile joins its end,
    /// behind those that were there before.
    pub(crate) target: u64,
}

impl<T: Copy> Wheel<T> {
    /// A wheel at time 0 for at most `limit` timers, rounded up to whole chunks of 128. For
    /// each chunk 8 bytes are allocated now; the rest comes when it is needed, and stays.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`].
    pub fn new(limit: usize) -> Result<Self, Error> {
        Ok(Self { store: Store::new(limit)?, slots: Slots::new(), time: 0, target: 0 })
    }

    /// Reserves a timer that will fire with `payload`. It is not armed. At times this
    /// allocates a chunk of memory.
    ///
    /// # Errors
    /// [`Error::TableFull`], [`Error::HeapExhausted`].
    pub fn insert(&mut self, payload: T) -> Result<TimerKey, Error> {
        self.store.insert(payload)
    }

    /// Arms a timer for `deadline` (nanoseconds), and with a `period` (nanoseconds) for every
    /// such time after it. What it was armed for before is forgotten.
    ///
    /// A deadline that the wheel's time has passed fires at the next
    /// [`expire`](Self::expire), as if it were for that time. Those armed for the same granule
    /// fire in the order of arming; a periodic timer arms itself anew when it fires.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn arm(
        &mut self,
        key: TimerKey,
        deadline: u64,
        period: Option<NonZeroU64>,
    ) -> Result<(), Error> {
        let mut entry = self.store.get_mut(key)?;
        if entry.place != UNARMED {
            self.slots.detach(&mut self.store, key.index);
            entry = self.store.entry_mut(key.index);
        }
        entry.deadline = deadline;
        entry.period = period.map_or(0, NonZeroU64::get);
        let slot = Slot::of(tick_of(deadline, self.target), self.time);
        let last = self.slots.append(entry, key.index, slot);
        self.store.follow(last, key.index);
        Ok(())
    }

    /// Disarms a timer, which stays reserved; true when it was armed.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn disarm(&mut self, key: TimerKey) -> Result<bool, Error> {
        let armed = self.store.get_mut(key)?.place != UNARMED;
        if armed {
            self.slots.detach(&mut self.store, key.index);
        }
        Ok(armed)
    }

    /// Disarms a timer and gives its place back; its key is stale from now on.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn remove(&mut self, key: TimerKey) -> Result<T, Error> {
        self.disarm(key)?;
        Ok(self.store.remove(key.index))
    }

    /// When [`expire`](Self::expire) should be called next, in nanoseconds; `None` while no
    /// timer is armed.
    ///
    /// Never later than the next timer. Within 64 granules, and when the next timer has its slot
    /// to itself, it is that timer's time exactly; else it may be the start of a slot that has
    /// to be spread over finer ones by then, at which nothing may fire yet.
    pub fn next_expiry(&self) -> Option<u64> {
        if self.target != self.time {
            return Some(self.target << GRANULARITY_BITS);
        }
        let slot = self.slots.first()?;
        let tick = match self.slots.only(slot) {
            Some(index) => tick_of(self.store.entry(index).deadline, self.target),
            None => slot.start(self.time),
        };
        Some(tick.saturating_mul(GRANULARITY_NS))
    }
}

/// The granule in which a timer is due: the first that begins no earlier than its deadline, or
/// the wheel's target when that has been passed.
#[inline]
pub(crate) fn tick_of(deadline: u64, target: u64) -> u64 {
    deadline.div_ceil(GRANULARITY_NS).max(target)
}
