//! Whether two processors' time stamp counters agree, and by how much they do not.
//!
//! One processor asks, the other answers with its counter. The answer was read between two readings of the
//! asker's, which bounds how far the other counter is ahead; the bounds of several rounds narrow that down
//! (Cristian, "Probabilistic clock synchronization", 1989).

use super::clock;
use core::arch::x86_64::_mm_lfence;
use core::hint::spin_loop;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

/// How far another counter is ahead, in counts: at least and at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    least: i64,
    most: i64,
}

/// What the rounds came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// No difference was found.
    Same,
    /// The other counter is so many counts ahead, or behind if that is less than 0.
    Ahead(i64),
    /// The difference changed meanwhile: the counters run at different rates. It was this at last.
    Drifting(i64),
}

impl Bounds {
    /// The bounds of one round.
    pub(crate) const fn of_round(before: u64, answer: u64, after: u64) -> Self {
        Self { least: answer.wrapping_sub(after) as i64, most: answer.wrapping_sub(before) as i64 }
    }

    /// Counts between the two.
    pub const fn width(self) -> u64 {
        self.most.abs_diff(self.least)
    }

    const fn middle(self) -> i64 {
        self.least + (self.width() / 2) as i64
    }
}

/// What several rounds say, the last of them first needed alone: `None` of none.
pub(crate) fn agreement(rounds: impl IntoIterator<Item = Bounds>) -> Option<Agreement> {
    let mut rounds = rounds.into_iter();
    let mut all = rounds.next()?;
    let mut last = all;
    for round in rounds {
        all = Bounds { least: all.least.max(round.least), most: all.most.min(round.most) };
        last = round;
    }
    Some(if all.least > all.most {
        Agreement::Drifting(last.middle())
    } else if all.least <= 0 && 0 <= all.most {
        Agreement::Same
    } else {
        Agreement::Ahead(all.middle())
    })
}

/// Where two processors meet.
#[derive(Debug)]
pub struct Rendezvous {
    turn: AtomicU32,
    answer: AtomicU64,
}

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const ANSWERED: u32 = 2;
const OVER: u32 = 3;

/// The most rounds.
const ROUNDS: usize = 64;
/// The fewest, if there is time: the first ones may be slow, in an emulator that has yet to translate them.
const FEWEST: usize = 8;

impl Rendezvous {
    /// Where nobody is yet.
    pub const fn new() -> Self {
        Self { turn: AtomicU32::new(IDLE), answer: AtomicU64::new(0) }
    }

    /// Asks until a round was as narrow as `fine` counts, or `limit` counts have passed; then the other
    /// processor goes on. `None` when it has not answered within `patience` counts.
    pub fn ask(&self, fine: u64, limit: u64, patience: u64) -> Option<Agreement> {
        let begin = counter();
        let mut rounds = [Bounds { least: i64::MIN, most: i64::MAX }; ROUNDS];
        let mut done = 0;
        let mut narrowest = u64::MAX;
        while done < ROUNDS {
            let bounds = self.round(patience)?;
            rounds[done] = bounds;
            done += 1;
            narrowest = narrowest.min(bounds.width());
            let spent = counter().wrapping_sub(begin);
            if spent > limit || (done >= FEWEST && narrowest <= fine) {
                break;
            }
        }
        self.turn.store(OVER, Release);
        agreement(rounds[..done].iter().copied())
    }

    fn round(&self, patience: u64) -> Option<Bounds> {
        let before = counter();
        self.turn.store(ASKED, Release);
        while self.turn.load(Acquire) != ANSWERED {
            if counter().wrapping_sub(before) > patience {
                return None;
            }
            spin_loop();
        }
        Some(Bounds::of_round(before, self.answer.load(Relaxed), counter()))
    }

    /// Answers until the other processor has asked enough.
    pub fn answer(&self) {
        loop {
            match self.turn.load(Acquire) {
                ASKED => {
                    self.answer.store(counter(), Relaxed);
                    self.turn.store(ANSWERED, Release);
                }
                OVER => return,
                // In an emulator that takes turns, this is what lets the other processor have its own.
                _ => spin_loop(),
            }
        }
    }
}

impl Default for Rendezvous {
    fn default() -> Self {
        Self::new()
    }
}

/// The counter, read neither before what comes before nor after what comes after.
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has LFENCE, which has no effect but order.
    unsafe {
        _mm_lfence();
        let counter = clock::tsc();
        _mm_lfence();
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the delays are, a constant difference is within the bounds, and never taken for drift.
        #[test]
        fn a_difference_is_found_within_the_narrowest_round(
            ahead in -1_000_000_000_i64..1_000_000_000,
            delays in prop::collection::vec((0_u64..100_000, 0_u64..100_000), 1..40),
        ) {
            let mut now = 1_u64 << 40;
            let rounds: Vec<Bounds> = delays.iter().map(|(there, back)| {
                let before = now;
                let answer = (before + there).wrapping_add_signed(ahead);
                now = before + there + back;
                Bounds::of_round(before, answer, now)
            }).collect();
            let narrowest = rounds.iter().map(|round| round.width()).min().unwrap();
            match agreement(rounds).unwrap() {
                Agreement::Same => prop_assert!(ahead.unsigned_abs() <= narrowest),
                Agreement::Ahead(found) => prop_assert!(found.abs_diff(ahead) <= narrowest),
                Agreement::Drifting(_) => prop_assert!(false, "a constant difference drifts"),
            }
        }
    }

    #[test]
    fn another_rate_is_drift() {
        let rounds = (0..10_u64).map(|round| {
            let before = round * 1_000_000;
            Bounds::of_round(before, before + 50 + round * 1_000, before + 100)
        });
        assert!(matches!(agreement(rounds), Some(Agreement::Drifting(9_000))));
    }

    #[test]
    fn two_threads_of_one_counter_agree() {
        let place = Rendezvous::new();
        let found = std::thread::scope(|scope| {
            scope.spawn(|| place.answer());
            place.ask(0, 1 << 32, 1 << 40)
        });
        assert_eq!(found, Some(Agreement::Same));
    }
}
