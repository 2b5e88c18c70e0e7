//! Contexts that something is kept for, and the look for what they have left behind when they were given up.
//!
//! A library that keeps something for contexts asks to be told when they end
//! ([`EventSystem::on_end`]), and then looks through all that it keeps: in the order of its *places*, and a
//! few at a time, so that others of the same priority run in between.

use crate::{ContextId, Error, EventSystem};
use core::mem;

/// Places that are looked at in one run: each takes a section or a few, which others of the same priority
/// have to wait for.
const BATCH: u32 = 16;

/// A context in one of its lives. What it owns is given up with that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The context.
    pub context: ContextId,
    /// How often it had been given up.
    pub failures: u64,
}

/// How far the look through places has come. A place is a value of `P`; the first is the default one.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sweep<P> {
    next: Option<P>,
    /// It has been said that there is more to look at.
    goes_on: bool,
}

impl Owner {
    /// A context in its present life.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn of<K: EventSystem>(kernel: &K, context: ContextId) -> Result<Self, Error> {
        Ok(Self { context, failures: kernel.failures(context)? })
    }

    /// Whether the context still is in that life.
    pub fn is_alive<K: EventSystem>(self, kernel: &K) -> bool {
        kernel.failures(self.context) == Ok(self.failures)
    }
}

impl<P: Copy + Default> Sweep<P> {
    /// Owners are gone: all places are to be looked at, from the first on.
    pub fn begin(&mut self) {
        self.next = Some(P::default());
    }

    /// [`begin`](Self::begin) by an event that is activated whenever owners are gone, and when there is
    /// [more](Self::go_on) to look at: it was activated so often since it last ran.
    pub fn activated(&mut self, count: u32) {
        if count > u32::from(mem::take(&mut self.goes_on)) {
            self.begin();
        }
    }

    /// Looks at a few places: `look` looks at one and says which is next, if there is any. True when there is
    /// more to look at, in another run.
    pub fn go_on(&mut self, mut look: impl FnMut(P) -> Option<P>) -> bool {
        for _ in 0..BATCH {
            self.next = self.next.and_then(&mut look);
        }
        self.goes_on = self.next.is_some();
        self.goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Looks at places up to `last` in each run; all that were looked at.
    fn run(sweep: &mut Sweep<u32>, last: u32) -> (Vec<u32>, bool) {
        let mut seen = Vec::new();
        let more = sweep.go_on(|place| {
            seen.push(place);
            (place < last).then_some(place + 1)
        });
        (seen, more)
    }

    #[test]
    fn every_place_is_looked_at_a_few_at_a_time() {
        let mut sweep = Sweep::default();
        assert_eq!(run(&mut sweep, 40), (Vec::new(), false), "nobody is gone");
        sweep.activated(1);
        assert_eq!(run(&mut sweep, 40), ((0..16).collect(), true));
        // It was activated to go on.
        sweep.activated(1);
        assert_eq!(run(&mut sweep, 40), ((16..32).collect(), true));
        sweep.activated(1);
        assert_eq!(run(&mut sweep, 40), ((32..=40).collect(), false));
        // Now by an owner that is gone.
        sweep.activated(1);
        assert_eq!(run(&mut sweep, 3), ((0..=3).collect(), false));
    }

    #[test]
    fn it_begins_again_when_owners_are_gone_meanwhile() {
        let mut sweep = Sweep::default();
        sweep.activated(3);
        assert_eq!(run(&mut sweep, 40), ((0..16).collect(), true));
        // Once to go on, and once more.
        sweep.activated(2);
        assert_eq!(run(&mut sweep, 40), ((0..16).collect(), true));
        sweep.begin();
        assert_eq!(run(&mut sweep, 15), ((0..16).collect(), false));
        sweep.begin();
        assert_eq!(run(&mut sweep, 0), (Vec::from([0]), false));
    }
}
