//! The connections of a group that are to run, linked through their records.

use crate::table::connection_record::Record;
use crate::table::index::NONE;

/// Records of a group, in the order in which they were listed, linked through themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyList {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl ReadyList {
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Appends a record, unless it is listed already: the one before it, to be linked to it.
    #[inline(always)]
    pub(crate) fn append(&mut self, record: &mut Record, index: u32) -> Option<u32> {
        if core::mem::replace(&mut record.ready, true) {
            return None;
        }
        record.next_ready = NONE;
        match core::mem::replace(&mut self.last, index) {
            NONE => {
                self.first = index;
                None
            }
            last => Some(last),
        }
    }
}
