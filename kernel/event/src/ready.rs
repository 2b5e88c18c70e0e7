//! The contexts that could run, by effective priority.

use crate::context::{Contexts, NOBODY};
use crate::queue::{Rank, highest};

#[derive(Clone, Copy)]
struct Fifo {
    head: u16,
    tail: u16,
}

/// One FIFO of contexts a level, linked through the contexts themselves.
pub(crate) struct Ready {
    levels: u64,
    /// The rank of the highest of them.
    top: Rank,
    fifos: [Fifo; 64],
}

impl Ready {
    pub(crate) const EMPTY: Self =
        Self { levels: 0, top: 0, fifos: [Fifo { head: NOBODY, tail: NOBODY }; 64] };

    /// The highest rank ready.
    #[inline(always)]
    pub(crate) fn top(&self) -> Rank {
        self.top
    }

    /// A level has become empty.
    #[inline(always)]
    fn vacate(&mut self, level: usize) {
        self.levels &= !(1 << level);
        self.top = highest(self.levels);
    }

    /// Appends a context at `rank`, which is not 0.
    #[inline(always)]
    pub(crate) fn push_back<C: Copy>(
        &mut self,
        contexts: &mut Contexts<C>,
        context: u16,
        rank: Rank,
    ) {
        let level = usize::from(rank.wrapping_sub(1) & 63);
        let fifo = &mut self.fifos[level];
        let previous = if self.levels & 1 << level == 0 {
            self.levels |= 1 << level;
            self.top = self.top.max(rank);
            fifo.head = context;
            NOBODY
        } else {
            contexts.at(fifo.tail).next = context;
            fifo.tail
        };
        fifo.tail = context;
        let links = contexts.at(context);
        links.previous = previous;
        links.next = NOBODY;
    }

    /// Puts a context before the others at `rank`: it was running, so it came first.
    #[inline(always)]
    pub(crate) fn push_front<C: Copy>(
        &mut self,
        contexts: &mut Contexts<C>,
        context: u16,
        rank: Rank,
    ) {
        let level = usize::from(rank.wrapping_sub(1) & 63);
        let fifo = &mut self.fifos[level];
        let next = if self.levels & 1 << level == 0 {
            self.levels |= 1 << level;
            self.top = self.top.max(rank);
            fifo.tail = context;
            NOBODY
        } else {
            contexts.at(fifo.head).previous = context;
            fifo.head
        };
        fifo.head = context;
        let links = contexts.at(context);
        links.previous = NOBODY;
        links.next = next;
    }

    /// Takes the first context of the highest level out; one must be ready.
    #[inline(always)]
    pub(crate) fn pop<C: Copy>(&mut self, contexts: &mut Contexts<C>) -> u16 {
        let level = usize::from(self.top().wrapping_sub(1) & 63);
        let fifo = &mut self.fifos[level];
        let context = fifo.head;
        let next = contexts.at(context).next;
        fifo.head = next;
        if next == NOBODY {
            self.vacate(level);
        } else {
            contexts.at(next).previous = NOBODY;
        }
        context
    }

    /// Takes `context` out of the FIFO at `rank`.
    #[inline(always)]
    pub(crate) fn remove<C: Copy>(&mut self, contexts: &mut Contexts<C>, context: u16, rank: Rank) {
        let level = usize::from(rank.wrapping_sub(1) & 63);
        let links = contexts.at(context);
        let (previous, next) = (links.previous, links.next);
        let fifo = &mut self.fifos[level];
        match previous {
            NOBODY => fifo.head = next,
            _ => contexts.at(previous).next = next,
        }
        match next {
            NOBODY => fifo.tail = previous,
            _ => contexts.at(next).previous = previous,
        }
        if fifo.head == NOBODY {
            self.vacate(level);
        }
    }
}
