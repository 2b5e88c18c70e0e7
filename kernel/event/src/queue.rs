//! A context's activations: one FIFO a priority level, linked through the registrations.

use crate::Priority;
use crate::table::{NONE, Table};

#[derive(Clone, Copy)]
struct Fifo {
    head: u32,
    tail: u32,
}

/// Activations waiting for one context. The rank of the highest is in the context's record, where a switch
/// finds it.
pub(crate) struct Queue {
    levels: u64,
    fifos: [Fifo; Priority::LEVELS],
}

/// A level as the dispatcher compares it: 0 stands for nothing, `priority + 1` for a priority.
pub(crate) type Rank = u8;

/// The rank of a priority.
#[inline(always)]
pub(crate) fn rank(priority: Priority) -> Rank {
    priority.level() + 1
}

/// The rank of the highest bit set.
#[inline(always)]
pub(crate) fn highest(levels: u64) -> Rank {
    (64 - levels.leading_zeros()) as Rank
}

impl Queue {
    pub(crate) const EMPTY: Self =
        Self { levels: 0, fifos: [Fifo { head: NONE, tail: NONE }; Priority::LEVELS] };

    /// Appends the registration at `index` to its priority's FIFO.
    #[inline(always)]
    pub(crate) fn push<H>(&mut self, table: &mut Table<H>, index: u32, priority: Priority) {
        let fifo = &mut self.fifos[priority.index()];
        let bit = 1 << priority.level();
        let previous = if self.levels & bit == 0 {
            self.levels |= bit;
            fifo.head = index;
            NONE
        } else {
            table.at(fifo.tail).next = index;
            fifo.tail
        };
        fifo.tail = index;
        let record = table.at(index);
        record.next = NONE;
        record.previous = previous;
    }

    /// Takes out the oldest registration of the highest level, which is of rank `top`; the queue must not be
    /// empty. Returns the highest rank that is left.
    #[inline(always)]
    pub(crate) fn pop<H>(&mut self, table: &mut Table<H>, top: Rank) -> (u32, Rank) {
        let level = usize::from(top.wrapping_sub(1) & 63);
        let fifo = &mut self.fifos[level];
        let index = fifo.head;
        let next = table.at(index).next;
        fifo.head = next;
        if next == NONE {
            self.levels &= !(1 << level);
            return (index, highest(self.levels));
        }
        table.at(next).previous = NONE;
        (index, top)
    }

    /// Takes the registration at `index` out, wherever it stands in the FIFO of `priority`. Returns the
    /// highest rank that is left.
    pub(crate) fn remove<H>(
        &mut self,
        table: &mut Table<H>,
        index: u32,
        priority: Priority,
    ) -> Rank {
        let record = table.at(index);
        let (previous, next) = (record.previous, record.next);
        let fifo = &mut self.fifos[priority.index()];
        match previous {
            NONE => fifo.head = next,
            _ => table.at(previous).next = next,
        }
        match next {
            NONE => fifo.tail = previous,
            _ => table.at(next).previous = previous,
        }
        if fifo.head == NONE {
            self.levels &= !(1 << priority.level());
        }
        highest(self.levels)
    }
}
