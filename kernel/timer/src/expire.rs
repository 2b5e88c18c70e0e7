//! Expiry: time goes on, slots cascade, timers fire.
//!
//! ```text
//!            insert             arm                      expire, one-shot
//!   (free) ---------> unarmed --------> waiting in slot -----------------> unarmed
//!             remove      ^  disarm      |  ^  |   ^
//!                         +--------------+  |  |   | expire, periodic: next on its grid
//!                                  cascade  +--+---+
//! ```
//!
//! The timer that is due before all others may wait in no slot, as the front.

use crate::period::Period;
use crate::slot::Slot;
use crate::store::{Entry, NIL, TimerKey};
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

    /// Takes the only timer that is armed, if it is due at `now` and not periodic: what it was reserved with. `None`
    /// says nothing; [`expire_and_next`](Self::expire_and_next) does.
    #[inline(always)]
    pub fn expire_only(&mut self, now: u64) -> Option<T> {
        let (index, tick) = (self.front, self.bound);
        if index == NIL || tick > now >> GRANULARITY_BITS || !self.slots.is_empty() {
            return None;
        }
        let entry = self.store.entry_mut(index);
        if entry.period.nanos() != 0 {
            return None;
        }
        entry.place = Slot::NONE;
        let payload = entry.payload;
        self.front = NIL;
        self.time = tick;
        self.target = tick;
        Some(payload)
    }

    /// [`expire`](Self::expire), and the granule at the beginning of which it should be called
    /// next, as by [`next_expiry`](Self::next_expiry); `None` while no timer is armed.
    #[inline(always)]
    pub fn expire_and_next(&mut self, now: u64) -> (Step<T>, Option<u64>) {
        // Only granules that have begun: a deadline was rounded up to one.
        let ticks = now >> GRANULARITY_BITS;
        if self.front == NIL {
            return self.expire_slots(now, ticks);
        }
        if self.bound > ticks {
            return (Step::Idle, Some(self.bound));
        }
        let (fired, next) = self.fire_front(now);
        (Step::Fired(fired), next)
    }

    /// Fires the front, which is due; and says in which granule there is more to do.
    #[inline(always)]
    fn fire_front(&mut self, now: u64) -> (Fired<T>, Option<u64>) {
        let (index, tick) = (self.front, self.bound);
        let entry = self.store.entry_mut(index);
        let key = TimerKey { index, generation: entry.generation };
        let (payload, deadline) = (entry.payload, entry.deadline);
        let (mut again, mut count) = (None, 1);
        if entry.period.nanos() != 0 {
            let (due, times) = entry.arm_again(now);
            (again, count) = (Some(due), times);
        }
        if !self.slots.is_empty() {
            again = self.go_on_behind(tick, again);
        } else {
            self.time = tick;
            self.target = tick;
            match again {
                Some(due) => self.bound = due,
                None => {
                    entry.place = Slot::NONE;
                    self.front = NIL;
                }
            }
        }
        (Fired { key, payload, deadline, count }, again)
    }

    /// The front of granule `tick` has fired, is due `again` if it is periodic, and there are timers in slots. Says
    /// in which granule there is more to do.
    #[inline(never)]
    fn go_on_behind(&mut self, tick: u64, again: Option<u64>) -> Option<u64> {
        // The time does not pass into a slot that holds timers.
        if self.target == self.time
            && self.slots.first().is_some_and(|slot| slot.start(self.time) > tick)
        {
            self.time = tick;
            self.target = tick;
        }
        let index = core::mem::replace(&mut self.front, NIL);
        self.store.entry_mut(index).place = Slot::NONE;
        let next = self.bound_anew();
        match again {
            Some(due) if due < self.bound => {
                self.set_front(index, due);
                again
            }
            Some(due) => {
                self.put(index, Slot::of(due, self.time));
                self.bound_anew()
            }
            None => next,
        }
    }

    /// Says in which granule there is more to do, and that nothing is due before it.
    fn bound_anew(&mut self) -> Option<u64> {
        let next = self.next_granule();
        self.bound = next.unwrap_or(self.bound);
        next
    }

    /// [`expire_and_next`](Self::expire_and_next) of timers in slots. Not a function of its own: what it returns is
    /// kept in registers.
    #[inline(always)]
    fn expire_slots(&mut self, now: u64, ticks: u64) -> (Step<T>, Option<u64>) {
        (self.expire_slot(now, ticks), self.bound_anew())
    }

    #[inline(always)]
    fn expire_slot(&mut self, now: u64, ticks: u64) -> Step<T> {
        if self.target != self.time {
            return self.cascade();
        }
        let Some(slot) = self.slots.first() else {
            self.rest(ticks);
            return Step::Idle;
        };
        // A timer alone needs not go through all the levels: no other is due before it.
        if let Some(index) = self.slots.earliest(slot)
            && self.store.entry(index).tick <= ticks
        {
            return Step::Fired(self.fire(slot, index, now));
        }
        self.enter(slot, ticks)
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

    /// Fires a timer, the first of `slot`.
    #[inline(always)]
    fn fire(&mut self, slot: Slot, index: u32, now: u64) -> Fired<T> {
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
            return Fired { key, payload, deadline, count: 1 };
        }
        let (due, count) = entry.arm_again(now);
        self.store.lead(NIL, second);
        if self.slots.is_empty() {
            self.set_front(index, due);
        } else {
            self.put(index, Slot::of(due, tick));
        }
        Fired { key, payload, deadline, count }
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

impl<T, P: Period> Entry<T, P> {
    /// Sets a periodic timer that is due for the next time of its grid: the granule of that, and how often it has
    /// been due.
    #[inline]
    fn arm_again(&mut self, now: u64) -> (u64, u32) {
        let (deadline, period) = (self.deadline, self.period.nanos());
        let (again, count) = match deadline.checked_add(period) {
            Some(again) if again > now => (again, 1),
            _ => catch_up(deadline, period, now),
        };
        self.deadline = again;
        self.tick = granule_of(again);
        (self.tick, count)
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
