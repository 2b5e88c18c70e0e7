//! Which communication is to be looked at next: a binary heap of slots by their time, of fixed
//! size, in which each slot knows its place.

use crate::Instant;
use alloc::boxed::Box;
use alloc::vec;

const NONE: u32 = u32::MAX;

/// At most one time a slot.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// Slots; each is no later than the two at twice its place.
    heap: Box<[u32]>,
    count: usize,
    /// By slot, its place in the heap.
    places: Box<[u32]>,
    /// By slot, its time.
    times: Box<[Instant]>,
}

impl Deadlines {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            heap: vec![NONE; slots].into_boxed_slice(),
            count: 0,
            places: vec![NONE; slots].into_boxed_slice(),
            times: vec![Instant::default(); slots].into_boxed_slice(),
        }
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<(Instant, usize)> {
        if self.count == 0 {
            return None;
        }
        let slot = self.heap[0] as usize;
        Some((self.times[slot], slot))
    }

    /// Sets a slot's time, instead of the one it had.
    pub(super) fn set(&mut self, slot: usize, time: Instant) {
        self.remove(slot);
        self.times[slot] = time;
        self.put(self.count, slot);
        self.count += 1;
        self.rise(self.count - 1);
    }

    /// Takes a slot's time, if it has one.
    pub(super) fn remove(&mut self, slot: usize) {
        let place = self.places[slot];
        if place == NONE {
            return;
        }
        self.places[slot] = NONE;
        self.count -= 1;
        let place = place as usize;
        if place != self.count {
            self.put(place, self.heap[self.count] as usize);
            self.sink(place);
            self.rise(place);
        }
    }

    fn put(&mut self, place: usize, slot: usize) {
        self.heap[place] = slot as u32;
        self.places[slot] = place as u32;
    }

    fn time(&self, place: usize) -> Instant {
        self.times[self.heap[place] as usize]
    }

    fn swap(&mut self, one: usize, other: usize) {
        let [first, second] = [one, other].map(|place| self.heap[place] as usize);
        self.put(one, second);
        self.put(other, first);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.time(above) <= self.time(place) {
                return;
            }
            self.swap(above, place);
            place = above;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let below = 2 * place + 1;
            if below >= self.count {
                return;
            }
            let other = below + 1;
            let is_other = other < self.count && self.time(other) < self.time(below);
            let earlier = if is_other { other } else { below };
            if self.time(place) <= self.time(earlier) {
                return;
            }
            self.swap(place, earlier);
            place = earlier;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn knows_the_earliest_as_a_list_would(
            steps in prop::collection::vec((0..10_usize, prop::option::of(0..50_u64)), 0..200)
        ) {
            let mut deadlines = Deadlines::new(10);
            let mut list: Vec<Option<Instant>> = vec![None; 10];
            for (slot, time) in steps {
                list[slot] = time.map(Instant::from_nanos);
                match list[slot] {
                    Some(time) => deadlines.set(slot, time),
                    None => deadlines.remove(slot),
                }
                let earliest = list.iter().flatten().min().copied();
                prop_assert_eq!(deadlines.first().map(|(time, _)| time), earliest);
                if let Some((time, slot)) = deadlines.first() {
                    prop_assert_eq!(list[slot], Some(time));
                }
            }
        }
    }
}
