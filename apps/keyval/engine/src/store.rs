//! Keys and values, found by hash.
//!
//! The highest byte of a hash says in which of 256 tables its key is. So the longest that a write waits for a table to
//! grow is the time for a 256th of all keys, and a scan that goes by hashes meets each key once, whatever tables grow
//! meanwhile.

use crate::blobs::Blobs;
use crate::counters::{Counters, Shared};
use crate::deadlines::Deadlines;
use crate::entry::{Entry, NEVER};
use crate::failure::Failure;
use alloc::sync::Arc;
use core::hash::{BuildHasher, Hasher};
use reflex_collections::{Memory, Table, Vec};

/// Tables.
const SHARDS: usize = 256;
/// Bits of a hash below those that say the table.
const BELOW: u32 = u64::BITS - SHARDS.trailing_zeros();

/// Where an entry is, until the next write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) bucket: usize,
}

pub(crate) struct Store<D> {
    pub(crate) memory: Memory,
    pub(crate) shared: Arc<Shared>,
    pub(crate) shards: Vec<Table<Entry>>,
    pub(crate) deadlines: D,
    /// Counts uses of keys.
    clock: u32,
    /// Of the choice by chance of what is looked at for eviction.
    pub(crate) random: u64,
    /// All bytes of the memory.
    pub(crate) capacity: usize,
}

impl<D: Deadlines> Store<D> {
    pub(crate) fn new(
        memory: Memory,
        shared: Arc<Shared>,
        deadlines: D,
        random: u64,
    ) -> Result<Self, Failure> {
        let mut shards = memory.vec();
        shards.try_reserve_exact(SHARDS).map_err(|_| Failure::OutOfMemory)?;
        shards.resize_with(SHARDS, || memory.table());
        let capacity = memory.stats().capacity;
        Ok(Self { memory, shared, shards, deadlines, clock: 0, random: random | 1, capacity })
    }

    /// Bytes that are used, by whatever is in the context's memory.
    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.capacity - self.memory.available()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.memory.hash().build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// Where a key is that is there and has time left.
    #[inline]
    pub(crate) fn find(&mut self, key: &[u8], now: u64, blobs: &mut Blobs) -> Option<Place> {
        let hash = self.hash(key);
        let shard = shard_of(hash);
        let same = |entry: &Entry| entry.hash == hash && entry.key() == key;
        let bucket = self.shards[shard].find_bucket_index(in_table(hash), same)?;
        let place = Place { shard, bucket };
        if self.entry(place).is_some_and(|entry| entry.deadline > now) {
            return Some(place);
        }
        self.expire_at(place, blobs);
        None
    }

    /// As [`find`](Self::find), of a key that is used by that.
    #[inline]
    pub(crate) fn touch(&mut self, key: &[u8], now: u64, blobs: &mut Blobs) -> Option<Place> {
        let place = self.find(key, now, blobs)?;
        let used = self.tick();
        self.entry_mut(place)?.used = used;
        Some(place)
    }

    #[inline]
    pub(crate) fn entry(&self, place: Place) -> Option<&Entry> {
        self.shards[place.shard].get_bucket(place.bucket)
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.shards[place.shard].get_bucket_mut(place.bucket)
    }

    /// The time of a use. Of two that are not four billion uses apart the later one is known.
    #[inline]
    pub(crate) fn tick(&mut self) -> u32 {
        self.clock = self.clock.wrapping_add(1);
        self.clock
    }

    /// How many uses ago that was.
    pub(crate) fn age(&self, used: u32) -> u32 {
        self.clock.wrapping_sub(used)
    }

    /// Puts an entry to its place; there is none of its key.
    ///
    /// # Errors
    /// The entry, when its table would have to grow and must not or cannot.
    pub(crate) fn insert(&mut self, mut entry: Entry) -> Result<(), Entry> {
        entry.used = self.tick();
        let table = &self.shards[shard_of(entry.hash)];
        if table.len() == table.capacity() {
            let larger = 2 * table.allocation_size();
            if self.used() + larger > self.shared.limits.memory() {
                return Err(entry);
            }
        }
        let (hash, table) = (entry.hash, &mut self.shards[shard_of(entry.hash)]);
        if table.try_reserve(1, |entry| in_table(entry.hash)).is_err() {
            return Err(entry);
        }
        table.insert_unique(in_table(hash), entry, |entry| in_table(entry.hash));
        self.counters().keys.add(1);
        Ok(())
    }

    /// Sets when a key's time is up.
    pub(crate) fn set_deadline(&mut self, place: Place, deadline: u64) {
        let Some(entry) = self.shards[place.shard].get_bucket_mut(place.bucket) else { return };
        let (hash, before) = (entry.hash, core::mem::replace(&mut entry.deadline, deadline));
        let counters = &self.shared.counters;
        match (before, deadline) {
            (NEVER, NEVER) => {}
            (_, NEVER) => {
                self.deadlines.cancel(hash);
                counters.expiring.set(counters.expiring.get() - 1);
            }
            (before, deadline) => {
                if before == NEVER {
                    counters.expiring.add(1);
                }
                if !self.deadlines.set(hash, deadline) {
                    counters.untimed.add(1);
                }
            }
        }
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, place: Place, blobs: &mut Blobs) {
        self.set_deadline(place, NEVER);
        let Ok(found) = self.shards[place.shard].get_bucket_entry(place.bucket) else { return };
        let (entry, _) = found.remove();
        if let Some(id) = entry.blob() {
            blobs.release(id);
        }
        let keys = &self.counters().keys;
        keys.set(keys.get() - 1);
    }

    /// Removes an entry: its time is up.
    #[cold]
    fn expire_at(&mut self, place: Place, blobs: &mut Blobs) {
        self.remove(place, blobs);
        self.counters().expired.add(1);
    }

    /// The time of the keys with a hash is up, if it is: that of one of them has been told.
    pub(crate) fn expire(&mut self, hash: u64, now: u64, blobs: &mut Blobs) {
        let shard = shard_of(hash);
        let due = |entry: &Entry| entry.hash == hash && entry.deadline <= now;
        while let Some(bucket) = self.shards[shard].find_bucket_index(in_table(hash), due) {
            self.expire_at(Place { shard, bucket }, blobs);
        }
    }

    /// Removes all.
    pub(crate) fn clear(&mut self, blobs: &mut Blobs) {
        for shard in 0..SHARDS {
            let mut table = core::mem::replace(&mut self.shards[shard], self.memory.table());
            for entry in table.drain() {
                if entry.deadline != NEVER {
                    self.deadlines.cancel(entry.hash);
                }
                if let Some(id) = entry.blob() {
                    blobs.release(id);
                }
            }
        }
        self.counters().keys.set(0);
        self.counters().expiring.set(0);
    }

    /// Hands the entries with hashes from `cursor` on to `each`, about `count` of them, and returns where the next
    /// ones begin: an even number, 0 behind the last.
    pub(crate) fn scan(&self, cursor: u64, count: usize, mut each: impl FnMut(&Entry)) -> u64 {
        let (mut begin, mut left) = (cursor, count.max(1));
        loop {
            let shard = shard_of(begin);
            let length = self.shards[shard].len();
            // The last hash of the table; or of a part of it that has about as many as are asked for.
            let last = begin | (u64::MAX >> SHARDS.trailing_zeros());
            let end = match length > left {
                true => begin.saturating_add((1 << BELOW) / length as u64 * left as u64).min(last),
                false => last,
            } | 1;
            let part = self.shards[shard].iter().filter(|at| (begin..=end).contains(&at.hash));
            let mut found = 0;
            part.for_each(|entry| {
                found += 1;
                each(entry);
            });
            begin = end.wrapping_add(1);
            left = left.saturating_sub(found);
            if begin == 0 || left == 0 {
                return begin;
            }
        }
    }
}

/// The table of a hash.
#[inline]
const fn shard_of(hash: u64) -> usize {
    (hash >> BELOW) as usize
}

/// A hash as a table sees it, which looks at the lowest and the highest bits: the highest byte is the same for all in
/// a table, and the next one takes its place.
#[inline]
const fn in_table(hash: u64) -> u64 {
    const LOW: u64 = (1 << 48) - 1;
    (hash & LOW) | ((hash << 8) & !LOW)
}
