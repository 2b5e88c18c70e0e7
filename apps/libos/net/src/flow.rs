//! The flow table: from a 4-tuple to its connection in constant time.
//!
//! Chained buckets whose links lie in the connection records: nothing is allocated, moved or
//! rehashed when connections come and go. The hash is keyed with a random key, so that no peer
//! can choose tuples that meet in one bucket.

use crate::packet::FlowKey;
use crate::record::Record;
use alloc::vec::Vec;
use siphasher::sip::SipHasher13;

/// No record.
pub(crate) const NONE: u32 = u32::MAX;

pub(crate) struct FlowTable {
    hasher: SipHasher13,
    /// First record of each chain; a power of two of them.
    buckets: Vec<u32>,
}

impl FlowTable {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self { hasher: SipHasher13::new_with_key(key), buckets: alloc::vec![NONE; 16] }
    }

    #[inline]
    fn bucket(&self, key: &FlowKey) -> usize {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&key.remote.to_ne_bytes());
        bytes[4..8].copy_from_slice(&key.local.to_ne_bytes());
        bytes[8..10].copy_from_slice(&key.remote_port.to_ne_bytes());
        bytes[10..].copy_from_slice(&key.local_port.to_ne_bytes());
        self.hasher.hash(&bytes) as usize & (self.buckets.len() - 1)
    }

    #[inline]
    pub(crate) fn find(&self, records: &[Record], key: &FlowKey) -> Option<u32> {
        let mut index = self.buckets[self.bucket(key)];
        while let Some(record) = records.get(index as usize) {
            if record.key == *key {
                return Some(index);
            }
            index = record.next_in_bucket;
        }
        None
    }

    /// Adds a record, under its key.
    pub(crate) fn insert(&mut self, records: &mut [Record], index: u32) {
        let record = &mut records[index as usize];
        let bucket = self.bucket(&record.key);
        record.next_in_bucket = self.buckets[bucket];
        self.buckets[bucket] = index;
    }

    /// Takes a record out again.
    pub(crate) fn remove(&mut self, records: &mut [Record], index: u32) {
        let record = &records[index as usize];
        let bucket = self.bucket(&record.key);
        let after = record.next_in_bucket;
        let mut at = self.buckets[bucket];
        if at == index {
            self.buckets[bucket] = after;
            return;
        }
        while let Some(record) = records.get_mut(at as usize) {
            if record.next_in_bucket == index {
                record.next_in_bucket = after;
                return;
            }
            at = record.next_in_bucket;
        }
    }

    /// Makes room for `records.capacity()` connections, with short chains. A cold path.
    pub(crate) fn grow(&mut self, records: &mut Vec<Record>, in_table: impl Fn(&Record) -> bool) {
        let wanted = records.capacity().next_power_of_two().max(16);
        if wanted <= self.buckets.len() {
            return;
        }
        self.buckets.clear();
        self.buckets.resize(wanted, NONE);
        for index in 0..records.len() {
            if in_table(&records[index]) {
                self.insert(records, index as u32);
            }
        }
    }
}
