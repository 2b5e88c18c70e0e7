//! The records of all connections, and lists of them.

use crate::table::connection_record::Record;
use crate::table::index::NONE;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// All records. An index is made of the group's and of the record's place in the group, so that
/// each group has records of its own, made room for when it was made, and none ever moves.
pub(crate) struct Records {
    groups: Vec<Vec<Record>>,
}

/// Bits of an index that are the record's place in its group.
const PLACE: u32 = 22;

impl Records {
    /// Groups there can be: one less than an index could name, so that [`NONE`] and the indices near
    /// it are nobody's.
    pub(crate) const GROUPS: usize = (1 << (u32::BITS - PLACE)) - 1;
    /// Records a group can have.
    pub(crate) const MOST: u32 = 1 << PLACE;

    pub(crate) const fn new() -> Self {
        Self { groups: Vec::new() }
    }

    /// The groups' directory, to be given room.
    pub(crate) fn groups(&mut self) -> &mut Vec<Vec<Record>> {
        &mut self.groups
    }

    /// Adds a group: with no records, and with room for all it will have.
    pub(crate) fn add_group(&mut self, records: Vec<Record>) {
        debug_assert!(records.is_empty());
        self.groups.push(records);
    }

    /// Records of a group.
    pub(crate) fn count(&self, group: u32) -> u32 {
        self.groups.get(group as usize).map_or(0, |records| records.len() as u32)
    }

    /// Records there is room for in a group.
    pub(crate) fn room(&self, group: u32) -> u32 {
        self.groups.get(group as usize).map_or(0, |records| records.capacity() as u32)
    }

    /// The index of a group's record.
    pub(crate) fn index(group: u32, place: u32) -> u32 {
        group << PLACE | place
    }

    /// The group of an index.
    #[inline(always)]
    pub(crate) fn group(index: u32) -> u32 {
        index >> PLACE
    }

    /// Adds a record to its group, which has room for it.
    pub(crate) fn push(&mut self, record: Record) -> u32 {
        let group = record.group;
        let records = &mut self.groups[group as usize];
        records.push(record);
        Self::index(group, records.len() as u32 - 1)
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&Record> {
        let place = (index & (Self::MOST - 1)) as usize;
        self.groups.get((index >> PLACE) as usize)?.get(place)
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Record> {
        let place = (index & (Self::MOST - 1)) as usize;
        self.groups.get_mut((index >> PLACE) as usize)?.get_mut(place)
    }
}

impl Index<u32> for Records {
    type Output = Record;

    #[inline(always)]
    fn index(&self, index: u32) -> &Record {
        &self.groups[(index >> PLACE) as usize][(index & (Self::MOST - 1)) as usize]
    }
}

impl IndexMut<u32> for Records {
    #[inline(always)]
    fn index_mut(&mut self, index: u32) -> &mut Record {
        &mut self.groups[(index >> PLACE) as usize][(index & (Self::MOST - 1)) as usize]
    }
}

/// A doubly linked list of records, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub(crate) fn push_back(&mut self, records: &mut Records, index: u32) {
        let record = &mut records[index];
        (record.previous, record.next, record.listed) = (self.tail, NONE, true);
        match records.get_mut(self.tail) {
            Some(last) => last.next = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    pub(crate) fn push_front(&mut self, records: &mut Records, index: u32) {
        let record = &mut records[index];
        (record.previous, record.next, record.listed) = (NONE, self.head, true);
        match records.get_mut(self.head) {
            Some(first) => first.previous = index,
            None => self.tail = index,
        }
        self.head = index;
    }

    pub(crate) fn remove(&mut self, records: &mut Records, index: u32) {
        let record = &mut records[index];
        let (previous, next) = (record.previous, record.next);
        (record.previous, record.next, record.listed) = (NONE, NONE, false);
        match records.get_mut(previous) {
            Some(record) => record.next = next,
            None => self.head = next,
        }
        match records.get_mut(next) {
            Some(record) => record.previous = previous,
            None => self.tail = previous,
        }
    }

    pub(crate) fn front(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }
}
