//! Where the timers themselves are: chunks of a fixed size that never move.

use crate::Error;
use crate::period::Period;
use crate::slot::Slot;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// No timer: the end of a list.
pub(crate) const NIL: u32 = u32::MAX;

/// The generation of a place that nobody has taken.
const NEW: u32 = 2;

/// Bits of a generation that count; the others are [as they were](Chunk::named).
const COUNTING: u32 = (1 << 26) - 1;

/// Timers in a chunk. With 48 bytes each that is 6 KiB: seldom enough, and little of a small machine.
const CHUNK: usize = 128;

/// A timer's name: its place in the table and the generation of that place, so that the name
/// of a removed timer is refused. No generation comes again: after the last one, and `2^25` removals,
/// the place is retired.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerKey {
    /// Place in the table.
    pub index: u32,
    /// Odd, and another for each timer that was in that place.
    pub generation: u32,
}

/// A timer, or a place for one.
pub(crate) struct Entry<T, P> {
    /// Neighbours in the slot's list; `next` also chains the free places.
    pub(crate) next: u32,
    pub(crate) previous: u32,
    /// What it was armed for, in nanoseconds, not rounded: a period keeps its grid.
    pub(crate) deadline: u64,
    /// The granule in which it is due. The wheel's time never passes it.
    pub(crate) tick: u64,
    /// Of a periodic one.
    pub(crate) period: P,
    /// Odd while the place holds a timer.
    pub(crate) generation: u32,
    /// The slot it waits in, or [`Slot::NONE`].
    pub(crate) place: Slot,
    pub(crate) payload: T,
}

/// Room for some more timers, supplied by the wheel's owner. Making it takes a time that grows with
/// its size; giving it to the wheel does not.
pub struct Chunk<T, P = u64>(Box<[Entry<T, P>; CHUNK]>);

impl<T: Copy, P: Period> Chunk<T, P> {
    /// Timers in a chunk.
    pub const SIZE: usize = CHUNK;

    /// An empty chunk. `filler` stands in the payloads of its places, for want of another.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`].
    pub fn new(filler: T) -> Result<Self, Error> {
        Self::named(filler, 0)
    }

    /// [`new`](Self::new), with names that have the upper six bits of `first` in their generations: so that those of
    /// several wheels are told apart.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn named(filler: T, first: u32) -> Result<Self, Error> {
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).map_err(|_| Error::HeapExhausted)?;
        chunk.extend((0..CHUNK).map(|_| Entry {
            next: NIL,
            previous: NIL,
            deadline: 0,
            tick: 0,
            period: P::NONE,
            generation: NEW | first & !COUNTING,
            place: Slot::NONE,
            payload: filler,
        }));
        chunk.into_boxed_slice().try_into().map(Self).map_err(|_| Error::HeapExhausted)
    }
}

/// All timers of a wheel.
pub(crate) struct Store<T, P> {
    /// Has its full capacity from the beginning and so is never moved.
    chunks: Vec<Chunk<T, P>>,
    free: u32,
    /// Places from here on have never been taken.
    fresh: u32,
}

impl<T: Copy, P: Period> Store<T, P> {
    /// Room for `limit` timers, rounded up to whole chunks; only the directory of chunks is
    /// allocated now.
    pub(crate) fn new(limit: usize) -> Result<Self, Error> {
        let limit = limit.min(NIL as usize - CHUNK);
        let mut chunks = Vec::new();
        chunks.try_reserve_exact(limit.div_ceil(CHUNK)).map_err(|_| Error::HeapExhausted)?;
        Ok(Self { chunks, free: NIL, fresh: 0 })
    }

    /// Whether the next timer needs a chunk that is not there.
    pub(crate) fn needs_chunk(&self) -> Result<bool, Error> {
        if self.free != NIL || (self.fresh as usize) < self.chunks.len() * CHUNK {
            return Ok(false);
        }
        if self.chunks.len() == self.chunks.capacity() { Err(Error::TableFull) } else { Ok(true) }
    }

    /// Adds a chunk; without room for it, it is given back.
    pub(crate) fn supply(&mut self, chunk: Chunk<T, P>) -> Option<Chunk<T, P>> {
        if self.chunks.len() == self.chunks.capacity() {
            return Some(chunk);
        }
        self.chunks.push(chunk);
        None
    }

    /// Takes a place for a timer, which [`needs_chunk`](Self::needs_chunk) has said to be there.
    pub(crate) fn insert(&mut self, payload: T) -> Result<TimerKey, Error> {
        if self.needs_chunk()? {
            return Err(Error::TableFull);
        }
        let mut index = self.free;
        if index == NIL {
            index = self.fresh;
            self.fresh += 1;
        } else {
            self.free = self.entry(index).next;
        }
        let entry = self.entry_mut(index);
        entry.generation += 1;
        entry.payload = payload;
        Ok(TimerKey { index, generation: entry.generation })
    }

    /// Gives the place of an unarmed timer back, unless its generations are used up.
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let free = self.free;
        let entry = self.entry_mut(index);
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = free;
        let payload = entry.payload;
        if entry.generation & COUNTING != 0 {
            self.free = index;
        }
        payload
    }

    /// The timer that `key` names.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Result<&mut Entry<T, P>, Error> {
        let chunk = self.chunks.get_mut(key.index as usize / CHUNK).ok_or(Error::Stale)?;
        let entry = &mut chunk.0[key.index as usize % CHUNK];
        // Keys have odd generations. With the bit forced, not even one that was made up reaches a
        // place where no timer lives; and one of zeroes, which may stand for none, reaches nothing.
        if entry.generation == key.generation | 1 { Ok(entry) } else { Err(Error::Stale) }
    }

    /// The timer at a place, if one lives there.
    pub(crate) fn at(&self, index: u32) -> Result<(TimerKey, &T), Error> {
        let chunk = self.chunks.get(index as usize / CHUNK).ok_or(Error::Stale)?;
        let Entry { generation, payload, .. } = &chunk.0[index as usize % CHUNK];
        let lives = *generation % 2 == 1;
        lives.then_some((TimerKey { index, generation: *generation }, payload)).ok_or(Error::Stale)
    }

    /// The entry at an index that a list or a checked key gave.
    #[inline]
    pub(crate) fn entry(&self, index: u32) -> &Entry<T, P> {
        &self.chunks[index as usize / CHUNK].0[index as usize % CHUNK]
    }

    /// As [`entry`](Self::entry).
    #[inline]
    pub(crate) fn entry_mut(&mut self, index: u32) -> &mut Entry<T, P> {
        &mut self.chunks[index as usize / CHUNK].0[index as usize % CHUNK]
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
}
