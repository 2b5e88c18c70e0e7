//! Connections with a deadline that may have passed: a timing wheel of seconds over connection
//! slots.
//!
//! Every operation is O(1), and a second passes in the number of slots filed under it. Deadlines
//! that only move later, as those of busy connections do with each request, cost a comparison: a
//! slot stays filed where it is, and the code that takes it out files it again.

use alloc::boxed::Box;
use alloc::vec;

/// Seconds the wheel covers: more than the usual limits. A deadline farther away is looked at once a
/// turn.
const BUCKETS: u32 = 128;
const NONE: u32 = u32::MAX;

/// Slots by the second in which they want to be looked at.
pub struct Deadlines {
    /// The first slot of each second.
    first: [u32; BUCKETS as usize],
    links: Box<[Link]>,
    /// The second up to which slots have been taken out.
    now: u32,
}

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    /// The second it is filed under, or `NONE`.
    filed: u32,
}

impl Deadlines {
    /// A wheel for slots 0 to `slots - 1`, none of them filed.
    pub fn new(slots: usize) -> Self {
        let unfiled = Link { next: NONE, previous: NONE, filed: NONE };
        Self {
            first: [NONE; BUCKETS as usize],
            links: vec![unfiled; slots].into_boxed_slice(),
            now: 0,
        }
    }

    /// Sees to it that `slot` is taken out at `second` or before.
    #[inline]
    pub fn file(&mut self, slot: usize, second: u32) {
        // Not filed is later than any second.
        if second < self.links[slot].filed {
            self.refile(slot, second);
        }
    }

    #[cold]
    fn refile(&mut self, slot: usize, second: u32) {
        self.forget(slot);
        let second = second.clamp(self.now.saturating_add(1), self.now.saturating_add(BUCKETS));
        let first = &mut self.first[(second % BUCKETS) as usize];
        let link = Link { next: *first, previous: NONE, filed: second };
        *first = slot as u32;
        if let Some(next) = self.links.get_mut(link.next as usize) {
            next.previous = slot as u32;
        }
        self.links[slot] = link;
    }

    /// `slot` is not to be taken out any more.
    pub fn forget(&mut self, slot: usize) {
        let Link { next, previous, filed } = self.links[slot];
        if filed == NONE {
            return;
        }
        if let Some(next) = self.links.get_mut(next as usize) {
            next.previous = previous;
        }
        match self.links.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.first[(filed % BUCKETS) as usize] = next,
        }
        self.links[slot] = Link { next: NONE, previous: NONE, filed: NONE };
    }

    /// Takes out a slot that is filed under `now` or a second before. To be called until there is
    /// none.
    pub fn due(&mut self, now: u32) -> Option<usize> {
        if now.saturating_sub(self.now) > BUCKETS {
            self.now = now - BUCKETS;
        }
        while self.now < now {
            let slot = self.first[((self.now + 1) % BUCKETS) as usize];
            if slot != NONE {
                self.forget(slot as usize);
                return Some(slot as usize);
            }
            self.now += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Deadlines;
    use proptest::prelude::*;

    #[test]
    fn a_slot_is_taken_out_in_its_second_and_not_before() {
        let mut deadlines = Deadlines::new(2);
        deadlines.file(0, 10);
        deadlines.file(1, 5);
        deadlines.file(1, 7);
        assert_eq!(deadlines.due(4), None);
        assert_eq!(deadlines.due(5), Some(1));
        assert_eq!(deadlines.due(9), None);
        assert_eq!(deadlines.due(10), Some(0));
        assert_eq!(deadlines.due(1000), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        File(usize, u32),
        Forget(usize),
        Pass(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0usize..8, 0u32..400).prop_map(|(slot, second)| Step::File(slot, second)),
            (0usize..8).prop_map(Step::Forget),
            prop_oneof![0u32..4, 0u32..300].prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// With a driver that files again what is not due yet, every slot is found in the first
        /// second looked at that is not before its deadline.
        #[test]
        fn nothing_is_early_late_or_lost(steps in prop::collection::vec(step(), 0..100)) {
            let mut deadlines = Deadlines::new(8);
            let mut model = [None; 8];
            let mut now = 0;
            for step in steps {
                match step {
                    Step::File(slot, ahead) => {
                        model[slot] = Some(now + 1 + ahead);
                        deadlines.file(slot, now + 1 + ahead);
                    }
                    Step::Forget(slot) => {
                        model[slot] = None;
                        deadlines.forget(slot);
                    }
                    Step::Pass(seconds) => {
                        now += seconds;
                        let mut again = alloc::vec::Vec::new();
                        while let Some(slot) = deadlines.due(now) {
                            match model[slot] {
                                Some(deadline) if deadline <= now => model[slot] = None,
                                Some(deadline) => again.push((slot, deadline)),
                                None => prop_assert!(false, "slot {} was not filed", slot),
                            }
                        }
                        for (slot, deadline) in again {
                            deadlines.file(slot, deadline);
                        }
                        let late = model.iter().flatten().find(|&&deadline| deadline <= now);
                        prop_assert!(late.is_none());
                    }
                }
            }
        }
    }
}
