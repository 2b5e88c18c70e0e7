//! Where the timers themselves are: chunks of a fixed size that never move.

use crate::Error;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// No timer: the end of a list.
pub(crate) const NIL: u32 = u32::MAX;

/// The place of a timer that is in no slot.
pub(crate) const UNARMED: u16 = u16::MAX;

/// Timers in a chunk.
const CHUNK: usize = 128;

/// A timer's name: its place in the table and the generation of that place, so that the name
/// of a removed timer is refused. A generation comes again after `2^31` removals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerKey {
    /// Place in the table.
    pub index: u32,
    /// Odd, and another for each timer that was in that place.
    pub generation: u32,
}

/// A timer, or a place for one.
pub(crate) struct Entry<T> {
    /// Neighbours in the slot's list; `next` also chains the free places.
    pub(crate) next: u32,
    pub(crate) previous: u32,
    /// What it was armed for, in nanoseconds, not rounded: a period keeps its grid.
    pub(crate) deadline: u64,
    /// In nanoseconds; 0 for none.
    pub(crate) period: u64,
    /// Odd while the place holds a timer.
    pub(crate) generation: u32,
    /// The slot it waits in, or `UNARMED`.
    pub(crate) place: u16,
    pub(crate) payload: T,
}

/// All timers of a wheel.
pub(crate) struct Store<T> {
    /// Has its full capacity from the beginning and so is never moved.
    chunks: Vec<Box<[Entry<T>; CHUNK]>>,
    free: u32,
}

impl<T: Copy> Store<T> {
    /// Room for `limit` timers, rounded up to whole chunks; only the directory of chunks is
    /// allocated now.
    pub(crate) fn new(limit: usize) -> Result<Self, Error> {
        let limit = limit.min(NIL as usize - CHUNK);
        let mut chunks = Vec::new();
        chunks.try_reserve_exact(limit.div_ceil(CHUNK)).map_err(|_| Error::HeapExhausted)?;
        Ok(Self { chunks, free: NIL })
    }

    /// Takes a place for a timer.
    pub(crate) fn insert(&mut self, payload: T) -> Result<TimerKey, Error> {
        if self.free == NIL {
            self.grow(payload)?;
        }
        let index = self.free;
        let entry = self.entry_mut(index);
        entry.generation = entry.generation.wrapping_add(1);
        entry.payload = payload;
        let (next, generation) = (entry.next, entry.generation);
        self.free = next;
        Ok(TimerKey { index, generation })
    }

    /// Gives the place of an unarmed timer back.
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let free = core::mem::replace(&mut self.free, index);
        let entry = self.entry_mut(index);
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = free;
        entry.payload
    }

    /// The timer that `key` names.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Result<&mut Entry<T>, Error> {
        let chunk = self.chunks.get_mut(key.index as usize / CHUNK).ok_or(Error::Stale)?;
        let entry = &mut chunk[key.index as usize % CHUNK];
        // The generation of a free place is even, and a key with an even one was made up.
        if entry.generation != key.generation || key.generation & 1 == 0 {
            return Err(Error::Stale);
        }
        Ok(entry)
    }

    /// The entry at an index that a list or a checked key gave.
    #[inline]
    pub(crate) fn entry(&self, index: u32) -> &Entry<T> {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    /// As [`entry`](Self::entry).
    #[inline]
    pub(crate) fn entry_mut(&mut self, index: u32) -> &mut Entry<T> {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    /// Makes two timers neighbours in a list; either may be its end, `NIL`.
    #[inline]
    pub(crate) fn join(&mut self, first: u32, second: u32) {
        self.follow(first, second);
        self.lead(first, second);
    }

    /// Tells `first`, unless it is `NIL`, that `second` comes next.
    #[inline]
    pub(crate) fn follow(&mut self, first: u32, second: u32) {
        if first != NIL {
            self.entry_mut(first).next = second;
        }
    }

    /// Tells `second`, unless it is `NIL`, that `first` is before it.
    #[inline]
    pub(crate) fn lead(&mut self, first: u32, second: u32) {
        if second != NIL {
            self.entry_mut(second).previous = first;
        }
    }

    /// Adds a chunk of free places. `filler` stands in their payloads, for want of another.
    fn grow(&mut self, filler: T) -> Result<(), Error> {
        if self.chunks.len() == self.chunks.capacity() {
            return Err(Error::TableFull);
        }
        let first = (self.chunks.len() * CHUNK) as u32;
        let end = first + CHUNK as u32;
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).map_err(|_| Error::HeapExhausted)?;
        chunk.extend((first..end).map(|index| Entry {
            next: if index + 1 < end { index + 1 } else { NIL },
            previous: NIL,
            deadline: 0,
            period: 0,
            generation: 0,
            place: UNARMED,
            payload: filler,
        }));
        let chunk = chunk.into_boxed_slice().try_into().map_err(|_| Error::HeapExhausted)?;
        self.chunks.push(chunk);
        self.free = first;
        Ok(())
    }
}
