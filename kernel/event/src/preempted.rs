//! The preempted contexts, the latest first.
//!
//! Each was beaten by a higher rank, so the ranks fall along the list, and the one to go on next
//! is the first: preempting and going on cost a link each. A context that changes its rank while it
//! is here leaves for the ready ones, which are ordered by rank.

use crate::context::{Contexts, NOBODY};
use crate::queue::Rank;

pub(crate) struct Preempted {
    first: u16,
    rank: Rank,
}

impl Preempted {
    pub(crate) const EMPTY: Self = Self { first: NOBODY, rank: 0 };

    /// The rank of the first; 0 when there is none.
    #[inline(always)]
    pub(crate) fn top(&self) -> Rank {
        self.rank
    }

    /// Puts `context` first; its rank is no lower than the others'.
    #[inline(always)]
    pub(crate) fn push<C: Copy>(&mut self, contexts: &mut Contexts<C>, context: u16, rank: Rank) {
        let first = self.first;
        if first != NOBODY {
            contexts.at(first).previous = context;
        }
        let record = contexts.at(context);
        record.next = first;
        record.previous = NOBODY;
        record.preempted = true;
        self.first = context;
        self.rank = rank;
    }

    /// Takes the first out; there must be one.
    #[inline(always)]
    pub(crate) fn pop<C: Copy>(&mut self, contexts: &mut Contexts<C>) -> u16 {
        let first = self.first;
        let record = contexts.at(first);
        record.preempted = false;
        let next = record.next;
        self.first = next;
        self.rank = 0;
        if next != NOBODY {
            let record = contexts.at(next);
            record.previous = NOBODY;
            self.rank = record.effective;
        }
        first
    }

    /// Takes `context` out, wherever it stands.
    #[inline(always)]
    pub(crate) fn remove<C: Copy>(&mut self, contexts: &mut Contexts<C>, context: u16) {
        let record = contexts.at(context);
        record.preempted = false;
        let (previous, next) = (record.previous, record.next);
        let mut rank = 0;
        if next != NOBODY {
            let record = contexts.at(next);
            record.previous = previous;
            rank = record.effective;
        }
        if previous == NOBODY {
            self.first = next;
            self.rank = rank;
        } else {
            contexts.at(previous).next = next;
        }
    }
}
