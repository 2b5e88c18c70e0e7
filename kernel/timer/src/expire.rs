//! Expiry: time goes on, slots cascade, timers fire.
//!
//! ```text
//!            insert             arm                      expire, one-shot
//!   (free) ---------> unarmed --------> waiting in slot -----------------> unarmed
//!             remove      ^  disarm      |  ^  |   ^
//!                         +--------------+  |  |   | expire, periodic: next on its grid
//!                                  cascade  +--+---+
//! ```

use crate::period::Period;
use crate::slot::Slot;
use crate::store::{NIL, TimerKey};
use crate::wheel::{GRANULARITY_BITS, Wheel, granule_of};

/// Timers that one call of [`Wheel::expire`] moves to finer slots at most: it is called in a section,
/// which is to stay below some 200 instructions.
const CASCADE_MOVES: u32 = 3;

/// A timer that fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fired<T> {
    /// Which one.
    pub key: TimerKey,
    /// What it was reserved with.
    pub payload: T,
    /// What it was armed for, in nanoseconds; the first of several.
    pub deadline: u64,
    /// Deadlines this stands for: 1, and one more for each further period that has passed.
    pub count: u32,
}

/// What a call of [`Wheel::expire`] brought about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a timer that fired is handed out once"]
pub enum Step<T> {
    /// A timer fired; there may be more.
    Fired(Fired<T>),
    /// Timers were moved to finer slots: call again.
    Cascading,
    /// Nothing more is due.
    Idle,
}

impl<T: Copy, P: Period> Wheel<T, P> {
    /// Takes the next timer that is due at `now` (nanoseconds), earliest granule first.
    ///
    /// A call does a bounded amount of work whatever `now` is: it fires one timer or moves at
    /// most three. Its caller goes on until [`Step::Idle`], or stops when its own bound is reached
    /// and comes back; timers may be armed, disarmed and removed in between.
    pub fn expire(&mut self, now: u64) -> Step<T> {
        self.expire_and_next(now).0
    }

    /// [`expire`](Self::expire), and the granule at the beginning of which it should be called
    /// next, as by [`next_expiry`](Self::next_expiry); `None` while no timer is armed.
    #[inline(always)]
    pub fn expire_and_next(&mut self, now: u64) -> (Step<T>, Option<u64>) {
        // Only granules that have begun: a deadline was rounded up to one.
        let ticks = now >> GRANULARITY_BITS;
        if self.target != self.time {
            return (self.cascade(), self.next_granule());
        }
        let Some(slot) = self.slots.first() else {
            self.rest(ticks);
            return (Step::Idle, None);
        };
        // A timer alone needs not go through all the levels: no other is due before it.
        if let Some(index) = self.slots.earliest(slot)
            && self.store.entry(index).tick <= ticks
        {
            let (fired, next) = self.fire(slot, index, now);
            return (Step::Fired(fired), next);
        }
        (self.enter(slot, ticks), self.next_granule())
    }

    /// Nothing is due up to granule `ticks`: that is the time now, unless it went backward.
    #[inline]
    fn rest(&mut self, ticks: u64) {
        self.time = self.time.max(ticks);
        self.target = self.time;
    }

    /// No timer is known to be due at granule `ticks`; if the first slot has begun it is to be
    /// spread, for the time does not pass into a slot that holds timers.
    #[cold]
    #[inline(never)]
    fn enter(&mut self, slot: Slot, ticks: u64) -> Step<T> {
        let start = slot.start(self.time);
        if start > ticks {
            self.rest(ticks);
            return Step::Idle;
        }
        self.target = start;
        self.cascade()
    }

    /// Fires a timer, the first of `slot`; and says in which granule there is more to do.
    #[inline(always)]
    fn fire(&mut self, slot: Slot, index: u32, now: u64) -> (Fired<T>, Option<u64>) {
        let entry = self.store.entry_mut(index);
        let tick = entry.tick;
        self.time = tick;
        self.target = tick;
        let second = self.slots.take_first(entry, slot);
        let key = TimerKey { index, generation: entry.generation };
        let (payload, deadline, period) = (entry.payload, entry.deadline, entry.period.nanos());
        if period == 0 {
            entry.place = Slot::NONE;
            self.store.lead(NIL, second);
            let next = if self.slots.is_empty() { None } else { self.next_granule() };
            return (Fired { key, payload, deadline, count: 1 }, next);
        }
        let (again, count) = match deadline.checked_add(period) {
            Some(again) if again > now => (again, 1),
            _ => catch_up(deadline, period, now),
        };
        let due = granule_of(again);
        entry.deadline = again;
        entry.tick = due;
        let slot = Slot::of(due, tick);
        let next = if self.slots.is_empty() {
            self.slots.put_alone(entry, index, slot);
            Some(due)
        } else {
            self.store.lead(NIL, second);
            self.put(index, slot);
            self.next_granule()
        };
        (Fired { key, payload, deadline, count }, next)
    }

    /// Spreads the slot that begins at `target` over finer ones, a piece of it. When that is
    /// done, the wheel's time is the target.
    #[cold]
    #[inline(never)]
    fn cascade(&mut self) -> Step<T> {
        let slot = Slot::of(self.target, self.time);
        // All of them may have been disarmed since the last piece.
        let mut index = self.slots.first_of(slot);
        for _ in 0..CASCADE_MOVES {
            if index == NIL {
                break;
            }
            let entry = self.store.entry_mut(index);
            let second = self.slots.take_first(entry, slot);
            let finer = Slot::of(entry.tick, self.target);
            let last = self.slots.append(entry, index, finer);
            self.store.lead(NIL, second);
            self.store.follow(last, index);
            index = second;
        }
        if index == NIL {
            self.time = self.target;
        }
        Step::Cascading
    }
}

/// The first deadline after `now` of a timer that has been due more than once, and how often it
/// has been.
#[cold]
#[inline(never)]
fn catch_up(deadline: u64, period: u64, now: u64) -> (u64, u32) {
    let due = ((now - deadline) / period).saturating_add(1);
    // Later than `now`: the timer cannot fire twice for one `now`.
    let next = deadline.saturating_add(due.saturating_mul(period));
    (next, u32::try_from(due).unwrap_or(u32::MAX))
}
