//! Deadlines by key and by time.

use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_timer::{Chunk, Error, Fired, Once, Step, TimerKey, Wheel};

/// No deadline: the end of a chain.
const NIL: u32 = u32::MAX;

/// What the wheel keeps of a deadline.
#[derive(Clone, Copy)]
struct Item<P> {
    key: u64,
    payload: P,
    /// The next with the same hash.
    chain: u32,
}

/// Deadlines, of which each is found by its key and by its time.
pub(crate) struct Table<P> {
    wheel: Box<[Wheel<Item<P>, Once>; 1]>,
    /// The first of those of each hash. Two to a chain when the table is full.
    heads: Box<[u32]>,
    /// Odd, and drawn by chance: keys that meet under one meet under hardly any other (Dietzfelbinger et al.,
    /// "A reliable randomized algorithm for the closest-pair problem", 1997).
    multiplier: u64,
    set: usize,
    capacity: usize,
}

/// Where a deadline is: in the wheel, and behind which other in its chain.
struct Place {
    at: TimerKey,
    before: Option<TimerKey>,
}

impl<P: Copy> Table<P> {
    /// Room for `capacity` deadlines, 1 at least, all of it taken now.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`].
    pub(crate) fn new(capacity: usize, random: u64, filler: P) -> Result<Self, Error> {
        let capacity = capacity.max(1);
        let mut wheel = Wheel::boxed(capacity)?;
        for _ in 0..capacity.div_ceil(Chunk::<Item<P>, Once>::SIZE) {
            let chunk = Chunk::new(Item { key: 0, payload: filler, chain: NIL })?;
            // The wheel was made for as many.
            let _none = wheel[0].supply(chunk);
        }
        let length = capacity.next_power_of_two().div_ceil(2);
        let mut heads = Vec::new();
        heads.try_reserve_exact(length).map_err(|_| Error::HeapExhausted)?;
        heads.resize(length, NIL);
        Ok(Self {
            wheel,
            heads: heads.into_boxed_slice(),
            multiplier: random | 1,
            set: 0,
            capacity,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.set
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets a deadline, or sets that under the key anew. Returns the payload it had, and when the wheel is to be
    /// looked at for it, in nanoseconds.
    ///
    /// # Errors
    /// [`Error::TableFull`].
    pub(crate) fn set(
        &mut self,
        key: u64,
        deadline: u64,
        payload: P,
    ) -> Result<(Option<P>, u64), Error> {
        if let Some(place) = self.find(key) {
            let item = self.wheel[0].payload_mut(place.at)?;
            let before = core::mem::replace(&mut item.payload, payload);
            return Ok((Some(before), self.arm(place.at, deadline)?));
        }
        if self.set == self.capacity {
            return Err(Error::TableFull);
        }
        let head = self.head(key);
        let at = self.wheel[0].insert(Item { key, payload, chain: self.heads[head] })?;
        self.heads[head] = at.index;
        self.set += 1;
        Ok((None, self.arm(at, deadline)?))
    }

    /// Moves a deadline. Returns when the wheel is to be looked at for it.
    ///
    /// # Errors
    /// [`Error::Stale`]: none is set under the key.
    pub(crate) fn move_to(&mut self, key: u64, deadline: u64) -> Result<u64, Error> {
        let place = self.find(key).ok_or(Error::Stale)?;
        self.arm(place.at, deadline)
    }

    /// Takes a deadline away; returns its payload.
    ///
    /// # Errors
    /// [`Error::Stale`]: none is set under the key.
    pub(crate) fn cancel(&mut self, key: u64) -> Result<P, Error> {
        let place = self.find(key).ok_or(Error::Stale)?;
        self.remove(key, place)
    }

    /// What is set under a key.
    pub(crate) fn get(&self, key: u64) -> Option<P> {
        let Place { at, .. } = self.find(key)?;
        self.wheel[0].at(at.index).ok().map(|(_, item)| item.payload)
    }

    /// Takes the next deadline that is due; see [`Wheel::expire`].
    pub(crate) fn expire(&mut self, now: u64) -> Step<(u64, P)> {
        match self.wheel[0].expire(now) {
            Step::Cascading => Step::Cascading,
            Step::Idle => Step::Idle,
            Step::Fired(Fired { key: at, payload: Item { key, payload, .. }, deadline, count }) => {
                // It is in the chain of its key as long as it is in the wheel.
                if let Some(place) = self.find(key) {
                    let _ = self.remove(key, place);
                }
                Step::Fired(Fired { key: at, payload: (key, payload), deadline, count })
            }
        }
    }

    /// When the wheel is to be looked at next.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.wheel[0].next_expiry()
    }

    #[inline(always)]
    fn arm(&mut self, at: TimerKey, deadline: u64) -> Result<u64, Error> {
        let granule = self.wheel[0].arm(at, deadline, None)?;
        Ok(granule.saturating_mul(reflex_timer::GRANULARITY_NS))
    }

    /// The chain of a key: the upper bits of a product say which.
    fn head(&self, key: u64) -> usize {
        let bits = self.heads.len().trailing_zeros();
        let hash = key.wrapping_mul(self.multiplier);
        // With one chain there is no bit to be had.
        if bits == 0 { 0 } else { (hash >> (u64::BITS - bits)) as usize }
    }

    fn find(&self, key: u64) -> Option<Place> {
        let (mut next, mut before) = (self.heads[self.head(key)], None);
        while next != NIL {
            let (at, item) = self.wheel[0].at(next).ok()?;
            if item.key == key {
                return Some(Place { at, before });
            }
            (next, before) = (item.chain, Some(at));
        }
        None
    }

    fn remove(&mut self, key: u64, Place { at, before }: Place) -> Result<P, Error> {
        let Item { chain, payload, .. } = self.wheel[0].remove(at)?;
        match before {
            Some(before) => self.wheel[0].payload_mut(before)?.chain = chain,
            None => {
                let head = self.head(key);
                self.heads[head] = chain;
            }
        }
        self.set -= 1;
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a key and a payload of 8 bytes each, what the wheel and the chains take of a deadline, block headers
    /// of 16 bytes included, is no more than 64 bytes.
    #[test]
    fn a_deadline_takes_at_most_64_bytes() {
        let chunk = Chunk::<Item<u64>, Once>::SIZE;
        // The chunk is one block, and as large as its timers.
        let entry = 32 + size_of::<Item<u64>>();
        for capacity in [1_000, 16_000, 16_385, 100_000, 131_073] {
            let table = Table::new(capacity, 5, 0_u64).unwrap();
            let chunks = capacity.div_ceil(chunk);
            let directory = chunks * size_of::<usize>();
            let bytes = chunks * (chunk * entry + 16) + directory + 4 * table.heads.len();
            assert!(bytes <= 64 * capacity + chunk * entry, "{capacity}: {bytes}");
            assert!(table.heads.len() * 2 >= capacity, "no more than two to a chain");
        }
        assert_eq!(size_of::<Chunk<Item<u64>, Once>>(), size_of::<usize>());
    }

    /// Keys one after the other, as counters give them, spread over the chains.
    #[test]
    fn successive_keys_do_not_meet() {
        let mut table = Table::new(4_096, 0x9e37_79b9_7f4a_7c15, ()).unwrap();
        for key in 0..4_096 {
            table.set(key, key, ()).unwrap();
        }
        let chain = |head: u32| {
            let next = |at: &u32| table.wheel[0].at(*at).ok().map(|(_, item)| item.chain);
            std::iter::successors(Some(head), next).take_while(|at| *at != NIL).count()
        };
        let longest = table.heads.iter().map(|head| chain(*head)).max();
        assert!(longest <= Some(4), "{longest:?}");
    }
}
