//! Lists of a group's connections, linked through their records: those that are to run, and those of which
//! there is something to tell.

use crate::table::index::NONE;

/// Records of a group, in the order in which they were listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyList {
    pub(crate) first: u32,
    last: u32,
}

/// A record's place in such a list, if it is in there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    listed: bool,
    next: u32,
}

/// What became of a record that was to be listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listed {
    /// It was in the list already.
    Before,
    /// It is the first and only one.
    First,
    /// It is the last, and the one before it is to be [linked](Link::lead_to) to it.
    Behind(u32),
}

impl Link {
    pub(crate) const NONE: Self = Self { listed: false, next: NONE };

    /// The record behind it.
    pub(crate) fn next(self) -> Option<u32> {
        (self.listed && self.next != NONE).then_some(self.next)
    }

    /// Another record was listed behind this one's.
    #[inline(always)]
    pub(crate) fn lead_to(&mut self, next: u32) {
        self.next = next;
    }
}

impl ReadyList {
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Appends the record of an index, by its link.
    #[inline(always)]
    pub(crate) fn append(&mut self, link: &mut Link, index: u32) -> Listed {
        if core::mem::replace(&mut link.listed, true) {
            return Listed::Before;
        }
        link.next = NONE;
        match core::mem::replace(&mut self.last, index) {
            NONE => {
                self.first = index;
                Listed::First
            }
            last => Listed::Behind(last),
        }
    }

    /// Takes the first off, by its link.
    #[inline(always)]
    pub(crate) fn remove_first(&mut self, link: &mut Link) {
        link.listed = false;
        self.first = link.next;
        if self.first == NONE {
            self.last = NONE;
        }
    }
}
