//! The table of registrations: fixed chunks, places reused by generation, O(1) everywhere.

use crate::{Accumulation, Error, EventId, Priority};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Registrations a chunk. A chunk is one allocation of the global heap, made when the table
/// grows and never given back.
pub(crate) const CHUNK: usize = 256;

/// No place, no event.
pub(crate) const NONE: u32 = u32::MAX;

/// What becomes of a place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Nobody is registered here.
    Free,
    /// A registration.
    Live,
    /// Unregistered while its handler runs; freed when that run ends.
    Ending,
}

/// One registration.
pub(crate) struct Record<H> {
    pub(crate) handler: Option<H>,
    /// How often the place has been taken and given back: odd while a registration lives here,
    /// also after it has wrapped around.
    pub(crate) generation: u32,
    /// Occurrences the handler has not been told of. In its context's queue if and only if this
    /// is not 0.
    pub(crate) pending: u32,
    /// Neighbours in the context's queue; `next` also links free places.
    pub(crate) next: u32,
    pub(crate) previous: u32,
    pub(crate) context: u16,
    pub(crate) priority: Priority,
    pub(crate) accumulation: Accumulation,
    pub(crate) life: Life,
}

impl<H> Record<H> {
    const FREE: Self = Self {
        handler: None,
        generation: 0,
        pending: 0,
        next: NONE,
        previous: NONE,
        context: 0,
        priority: Priority::LOWEST,
        accumulation: Accumulation::Count,
        life: Life::Free,
    };
}

/// All registrations.
pub(crate) struct Table<H> {
    chunks: Vec<Box<[Record<H>; CHUNK]>>,
    most_chunks: usize,
    free: u32,
    live: u32,
}

impl<H> Table<H> {
    /// An empty table without room.
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), most_chunks: 0, free: NONE, live: 0 }
    }

    /// Makes room for at most `most` registrations, rounded up to whole chunks: the directory of
    /// chunks is allocated now and never moves, the chunks when they are needed.
    pub(crate) fn reserve(&mut self, most: usize) -> Result<(), Error> {
        self.most_chunks = most.div_ceil(CHUNK);
        self.chunks.try_reserve_exact(self.most_chunks).map_err(|_| Error::HeapExhausted)
    }

    /// How many registrations are live.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// The record at a place that is known to exist: queues hold only such places.
    #[inline(always)]
    pub(crate) fn at(&mut self, index: u32) -> &mut Record<H> {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    /// The live registration `id` names.
    #[inline(always)]
    pub(crate) fn live_at(&mut self, id: EventId) -> Result<&mut Record<H>, Error> {
        match self.chunks.get_mut(id.index as usize / CHUNK) {
            Some(chunk) => {
                let record = &mut chunk[id.index as usize % CHUNK];
                // Names have odd generations. With the bit forced, not even one that was made up
                // reaches a place where no registration lives.
                if record.generation == id.generation | 1 { Ok(record) } else { Err(Error::Stale) }
            }
            None => Err(Error::Stale),
        }
    }

    /// Takes a free place, growing the table by a chunk when there is none.
    pub(crate) fn take(&mut self) -> Result<EventId, Error> {
        if self.free == NONE {
            self.grow()?;
        }
        let index = self.free;
        let record = self.at(index);
        let generation = record.generation.wrapping_add(1);
        let next = record.next;
        *record = Record { generation, life: Life::Live, ..Record::FREE };
        self.free = next;
        self.live += 1;
        Ok(EventId { index, generation })
    }

    /// Makes every copy of the registration's identifier stale. Its place stays taken.
    pub(crate) fn retire(&mut self, index: u32) {
        let record = self.at(index);
        record.generation = record.generation.wrapping_add(1);
        record.life = Life::Ending;
        self.live -= 1;
    }

    /// The name of the registration at a place, which may have been retired.
    pub(crate) fn name(&mut self, index: u32) -> EventId {
        let record = self.at(index);
        let retired = u32::from(record.life == Life::Ending);
        EventId { index, generation: record.generation.wrapping_sub(retired) }
    }

    /// Gives a retired place back, and its handler to the caller.
    pub(crate) fn free(&mut self, index: u32) -> Option<H> {
        let free = self.free;
        let record = self.at(index);
        record.life = Life::Free;
        record.next = free;
        let handler = record.handler.take();
        self.free = index;
        handler
    }

    /// Adds a chunk. To be called when no place is free.
    fn grow(&mut self) -> Result<(), Error> {
        if self.chunks.len() == self.most_chunks {
            return Err(Error::TableFull);
        }
        let mut records = Vec::new();
        records.try_reserve_exact(CHUNK).map_err(|_| Error::HeapExhausted)?;
        let base = (self.chunks.len() * CHUNK) as u32;
        records.extend((0..CHUNK as u32).map(|place| {
            let next = if place + 1 < CHUNK as u32 { base + place + 1 } else { NONE };
            Record { next, ..Record::FREE }
        }));
        let chunk = records.into_boxed_slice().try_into();
        self.chunks.push(chunk.unwrap_or_else(|_| unreachable!("a chunk has CHUNK records")));
        self.free = base;
        Ok(())
    }
}
