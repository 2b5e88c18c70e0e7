//! Expiry: time goes on, slots cascade, timers fire.
//!
//! ```text
//!            insert             arm                      expire, one-shot
//!   (free) ---------> unarmed --------> waiting in slot -----------------> unarmed
//!             remove      ^  disarm      |  ^  |   ^
//!                         +--------------+  |  |   | expire, periodic: next on its grid
//!                                  cascade  +--+---+
//! ```

use crate::slots::Slot;
use crate::store::{NIL, TimerKey};
use crate::wheel::{GRANULARITY_BITS, Wheel, tick_of};

/// Timers that one call of [`Wheel::expire`] moves to finer slots at most.
const CASCADE_MOVES: u32 = 16;

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
    /// Timers were moved to finer slots, and that is not done: call again.
    Cascading,
    /// Nothing more is due.
    Idle,
}

impl<T: Copy> Wheel<T> {
    /// Takes the next timer that is due at `now` (nanoseconds), earliest granule first.
    ///
    /// A call does a bounded amount of work whatever `now` is: it fires one timer or moves at
    /// most 16. Its caller goes on until [`Step::Idle`], or stops when its own bound is reached
    /// and comes back; timers may be armed, disarmed and removed in between.
    #[inline]
    pub fn expire(&mut self, now: u64) -> Step<T> {
        // Only granules that have begun: a deadline was rounded up to one.
        let ticks = now >> GRANULARITY_BITS;
        let mut moves = CASCADE_MOVES;
        loop {
            if self.target != self.time && !self.cascade(&mut moves) {
                return Step::Cascading;
            }
            let (slot, start) = match self.slots.first() {
                Some(slot) => (slot, slot.start(self.time)),
                None => return self.rest(ticks),
            };
            if start > ticks {
                return self.rest(ticks);
            }
            if slot.level() == 0 {
                return Step::Fired(self.fire(slot, start, now));
            }
            // A timer alone needs not go through all the levels: no other is due before it.
            if let Some(index) = self.slots.only(slot) {
                let tick = tick_of(self.store.entry(index).deadline, self.target);
                if tick <= ticks {
                    return Step::Fired(self.fire(slot, tick, now));
                }
            }
            self.target = start;
        }
    }

    /// Nothing is due up to granule `ticks`: that is the time now, unless it went backward.
    #[inline]
    fn rest(&mut self, ticks: u64) -> Step<T> {
        self.time = self.time.max(ticks);
        self.target = self.time;
        Step::Idle
    }

    /// Fires the first timer of `slot`, which is due in granule `tick`.
    #[inline]
    fn fire(&mut self, slot: Slot, tick: u64, now: u64) -> Fired<T> {
        self.time = tick;
        self.target = tick;
        let index = self.slots.first_of(slot);
        let entry = self.store.entry_mut(index);
        let second = self.slots.take_first(entry, slot);
        let key = TimerKey { index, generation: entry.generation };
        let (payload, deadline, period) = (entry.payload, entry.deadline, entry.period);
        let mut count = 1;
        if period == 0 {
            self.store.lead(NIL, second);
        } else {
            // Spare the division when nothing was missed.
            let late = now - deadline;
            let missed = if late < period { 0 } else { late / period };
            count = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
            // Later than `now`: the timer cannot fire twice for one `now`.
            let elapsed = missed.saturating_add(1).saturating_mul(period);
            entry.deadline = deadline.saturating_add(elapsed);
            let next = Slot::of(tick_of(entry.deadline, tick), tick);
            let last = self.slots.append(entry, index, next);
            self.store.lead(NIL, second);
            self.store.follow(last, index);
        }
        Fired { key, payload, deadline, count }
    }

    /// Spreads the slot that begins at `target` over finer ones, as far as `moves` goes. True
    /// when that is done, and the wheel's time is the target.
    ///
    /// Out of line: most calls of [`expire`](Self::expire) need none of it.
    #[inline(never)]
    fn cascade(&mut self, moves: &mut u32) -> bool {
        let slot = Slot::of(self.target, self.time);
        while self.slots.first_of(slot) != NIL {
            if *moves == 0 {
                return false;
            }
            *moves -= 1;
            let index = self.slots.first_of(slot);
            let entry = self.store.entry_mut(index);
            let second = self.slots.take_first(entry, slot);
            let finer = Slot::of(tick_of(entry.deadline, self.target), self.target);
            let last = self.slots.append(entry, index, finer);
            self.store.lead(NIL, second);
            self.store.follow(last, index);
        }
        self.time = self.target;
        true
    }
}
