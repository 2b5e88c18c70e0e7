//! The table of registrations: fixed chunks, places reused by generation, O(1) everywhere.

use crate::gate::Gate;
use crate::id::{first_generation, is_used_up};
use crate::{Accumulation, Error, EventId, Priority};
use alloc::vec::Vec;

/// Registrations a chunk.
const CHUNK: usize = 256;

/// No place, no event.
pub(crate) const NONE: u32 = u32::MAX;

/// One registration, or the place of one.
pub struct Record<H> {
    pub(crate) handler: Option<H>,
    /// When the oldest occurrence that the handler has not been told of was queued.
    pub(crate) stamp: u64,
    /// How often the place has been taken and given back, behind the core's number: odd while a registration lives
    /// here. It comes to 0 again, but for that number, when the place has been given back for the last time.
    pub(crate) generation: u32,
    /// Occurrences the handler has not been told of. If it is not 0 the registration is in its
    /// context's queue, unless its gate says otherwise.
    pub(crate) pending: u32,
    /// Neighbours in the context's queue; `next` also links free places.
    pub(crate) next: u32,
    pub(crate) previous: u32,
    /// Neighbours among the context's registrations.
    pub(crate) next_owned: u32,
    pub(crate) previous_owned: u32,
    pub(crate) context: u16,
    pub(crate) gate: Gate,
    pub(crate) priority: Priority,
    pub(crate) accumulation: Accumulation,
}

impl<H> Record<H> {
    /// A place that nobody has taken.
    pub const FREE: Self = Self {
        handler: None,
        stamp: 0,
        generation: 0,
        pending: 0,
        next: NONE,
        previous: NONE,
        next_owned: NONE,
        previous_owned: NONE,
        context: 0,
        gate: Gate::OPEN,
        priority: Priority::LOWEST,
        accumulation: Accumulation::Count,
    };

    /// A place of a core that nobody has taken.
    pub const fn free_on(core: u32) -> Self {
        Self { generation: first_generation(core), ..Self::FREE }
    }

    /// Whether there is something that its handler has not been told of: only then it can be in a queue,
    /// or be what is to run next.
    #[inline(always)]
    pub(crate) fn waits(&self) -> bool {
        self.pending != 0 || self.gate.has(Gate::EXPIRED)
    }

    /// Whether it is in its context's queue.
    pub(crate) fn queued(&self) -> bool {
        self.waits() && !self.gate.has(Gate::ASIDE)
    }
}

/// Memory for some more registrations, supplied by the core's driver: [`Record::FREE`] all over.
/// Making one takes a time that grows with its size; giving it to the core does not.
#[repr(transparent)]
pub struct Chunk<H: 'static>([Record<H>; CHUNK]);

impl<H> Chunk<H> {
    /// How many registrations it holds.
    pub const SIZE: usize = CHUNK;

    /// An empty chunk.
    pub const fn new() -> Self {
        Self([const { Record::FREE }; CHUNK])
    }
}

impl<H> Default for Chunk<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// All registrations.
pub(crate) struct Table<H: 'static> {
    chunks: Vec<&'static mut Chunk<H>>,
    most_chunks: usize,
    free: u32,
    /// Places from here on have never been taken.
    fresh: u32,
    live: u32,
}

impl<H> Table<H> {
    /// An empty table without room.
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), most_chunks: 0, free: NONE, fresh: 0, live: 0 }
    }

    /// Makes room for at most `most` registrations, rounded up to whole chunks: the directory of
    /// chunks is allocated now and never moves.
    pub(crate) fn reserve(&mut self, most: usize) -> Result<(), Error> {
        self.most_chunks = most.div_ceil(CHUNK);
        self.chunks.try_reserve_exact(self.most_chunks).map_err(|_| Error::HeapExhausted)
    }

    /// How many registrations are live.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Whether the next [`take`](Self::take) needs a chunk that is not there.
    pub(crate) fn needs_chunk(&self) -> Result<bool, Error> {
        if self.free != NONE || (self.fresh as usize) < self.chunks.len() * CHUNK {
            return Ok(false);
        }
        if self.chunks.len() == self.most_chunks { Err(Error::TableFull) } else { Ok(true) }
    }

    /// Adds a chunk; without room for it, it is given back.
    pub(crate) fn supply(&mut self, chunk: &'static mut Chunk<H>) -> Option<&'static mut Chunk<H>> {
        if self.chunks.len() == self.most_chunks {
            return Some(chunk);
        }
        self.chunks.push(chunk);
        None
    }

    /// The record at a place that is known to exist: queues hold only such places.
    #[inline(always)]
    pub(crate) fn at(&mut self, index: u32) -> &mut Record<H> {
        &mut self.chunks[index as usize / CHUNK].0[index as usize % CHUNK]
    }

    /// The live registration `id` names.
    #[inline(always)]
    pub(crate) fn live_at(&mut self, id: EventId) -> Result<&mut Record<H>, Error> {
        match self.chunks.get_mut(id.index as usize / CHUNK) {
            Some(chunk) => {
                let record = &mut chunk.0[id.index as usize % CHUNK];
                // Names have odd generations. With the bit forced, not even one that was made up
                // reaches a place where no registration lives.
                if record.generation == id.generation | 1 { Ok(record) } else { Err(Error::Stale) }
            }
            None => Err(Error::Stale),
        }
    }

    /// Takes a free place for a registration, which is given the place's generation.
    ///
    /// # Errors
    /// [`Error::TableFull`], also when the table [needs a chunk](Self::needs_chunk) first.
    #[inline(always)]
    pub(crate) fn take(&mut self, new: Record<H>) -> Result<EventId, Error> {
        let index = if self.free == NONE { self.fresh } else { self.free };
        let chunk = self.chunks.get_mut(index as usize / CHUNK).ok_or(Error::TableFull)?;
        let record = &mut chunk.0[index as usize % CHUNK];
        if self.free == NONE {
            self.fresh += 1;
        } else {
            self.free = record.next;
        }
        let generation = record.generation + 1;
        *record = Record { generation, ..new };
        self.live += 1;
        Ok(EventId { index, generation })
    }

    /// Ends the registration at a place: every copy of its identifier is stale from here on. The place
    /// is given back at once, and the handler to the caller.
    #[inline(always)]
    pub(crate) fn end(&mut self, index: u32) -> Option<H> {
        self.live -= 1;
        let record = self.at(index);
        record.generation = record.generation.wrapping_add(1);
        self.free(index)
    }

    /// [`end`](Self::end) of a registration that has its handler on a stack: the place is [freed](Self::free) when
    /// the run is over.
    #[cold]
    pub(crate) fn end_running(&mut self, index: u32) {
        self.live -= 1;
        let record = self.at(index);
        record.generation = record.generation.wrapping_add(1);
        record.gate.set(Gate::ENDING, true);
    }

    /// The name of the registration at a place, which may have ended.
    pub(crate) fn name(&mut self, index: u32) -> EventId {
        let record = self.at(index);
        let ended = u32::from(record.gate.has(Gate::ENDING));
        EventId { index, generation: record.generation.wrapping_sub(ended) }
    }

    /// Gives the place of a registration that has ended back, unless its generations are used up, and
    /// the handler to the caller.
    #[inline(always)]
    pub(crate) fn free(&mut self, index: u32) -> Option<H> {
        let free = self.free;
        let record = self.at(index);
        record.gate = Gate::OPEN;
        let handler = record.handler.take();
        // Without a name left that nobody has had, it stays empty.
        if !is_used_up(record.generation) {
            record.next = free;
            self.free = index;
        }
        handler
    }
}

#[cfg(test)]
mod tests;
