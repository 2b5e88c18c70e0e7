//! Room for what is written: what is used is kept below the limit.

use crate::blobs::Blobs;
use crate::counters::Policy;
use crate::deadlines::Deadlines;
use crate::failure::Failure;
use crate::store::{Place, Store};
use reflex_collections::Vec;

/// Entries of which the one is evicted that has not been used for longest, as many as redis looks at.
const SAMPLES: usize = 5;
/// Places that are looked at for them. A table is half full at least when it has just grown.
const LOOKS: usize = 40;

impl<D: Deadlines> Store<D> {
    /// Sees that so many bytes more may be used: evicts keys, if the policy is to.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    #[inline]
    pub(crate) fn make_room(&mut self, bytes: usize, blobs: &mut Blobs) -> Result<(), Failure> {
        while self.used() + bytes > self.shared.limits.memory() {
            self.evict(blobs)?;
        }
        Ok(())
    }

    /// An empty block with room for so many bytes.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub(crate) fn block(&mut self, bytes: usize, blobs: &mut Blobs) -> Result<Vec<u8>, Failure> {
        let mut block = self.memory.vec();
        // What is free may lie in pieces that are too small: then more is evicted.
        while block.try_reserve_exact(bytes).is_err() {
            self.evict(blobs)?;
        }
        Ok(block)
    }

    /// Removes a key that has not been used for long. Constant time, but when hardly any are left.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`] when there is none, or the policy forbids it.
    #[cold]
    pub(crate) fn evict(&mut self, blobs: &mut Blobs) -> Result<(), Failure> {
        if self.shared.limits.policy() == Policy::NoEviction {
            return Err(Failure::OutOfMemory);
        }
        let oldest = self.oldest_of_some().or_else(|| self.any());
        self.remove(oldest.ok_or(Failure::OutOfMemory)?, blobs);
        self.counters().evicted.add(1);
        Ok(())
    }

    /// The oldest of some that are met by chance.
    fn oldest_of_some(&mut self) -> Option<Place> {
        let (mut oldest, mut seen) = (None, 0);
        for _ in 0..LOOKS {
            let number = self.chance();
            let shard = number as usize % self.shards.len();
            let buckets = self.shards[shard].num_buckets().max(1);
            let place = Place { shard, bucket: (number >> 32) as usize % buckets };
            let Some(entry) = self.entry(place) else { continue };
            let age = self.age(entry.used);
            oldest = oldest.filter(|(oldest, _)| *oldest >= age).or(Some((age, place)));
            seen += 1;
            if seen == SAMPLES {
                break;
            }
        }
        oldest.map(|(_, place)| place)
    }

    /// One of the few that are left.
    fn any(&self) -> Option<Place> {
        let mut shards = self.shards.iter().enumerate();
        shards.find_map(|(shard, table)| {
            let bucket = table.iter_buckets().next()?;
            Some(Place { shard, bucket })
        })
    }

    /// The next number of xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators,
    /// scrambled", 2016).
    fn chance(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
