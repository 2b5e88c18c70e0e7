//! The flow table: from a 4-tuple to its connection in constant time.
//!
//! Chained buckets with links in the connection records: nothing is allocated, moved or rehashed when
//! connections come and go. The hash is keyed with a random key, so that no peer can choose tuples that meet in
//! one bucket. When the table grows, which is when a port is opened, its chains move to the larger one bucket
//! by bucket, and packets are served in between.

use crate::table::flow_key::FlowKey;
use crate::table::index::NONE;
use crate::table::records::Records;
use alloc::vec::Vec;
use core::mem;
use siphasher::sip::SipHasher13;

/// Hashes 4-tuples.
#[derive(Clone, Copy)]
pub(crate) struct FlowHash(SipHasher13);

impl FlowHash {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    /// Not inlined: a compiler would move it to where the hash is used, which is in a section.
    #[inline(never)]
    pub(crate) fn of(&self, key: &FlowKey) -> u32 {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&key.remote.to_ne_bytes());
        bytes[4..8].copy_from_slice(&key.local.to_ne_bytes());
        bytes[8..10].copy_from_slice(&key.remote_port.to_ne_bytes());
        bytes[10..].copy_from_slice(&key.local_port.to_ne_bytes());
        self.0.hash(&bytes) as u32
    }
}

/// Buckets by hash; a power of two of them. Each is the first record of a chain.
pub(crate) struct FlowTable {
    buckets: Vec<u32>,
    /// While the table grows: the smaller one; its first `moved` buckets are empty.
    former: Vec<u32>,
    moved: usize,
}

impl FlowTable {
    pub(crate) fn new() -> Self {
        Self { buckets: alloc::vec![NONE; 16], former: Vec::new(), moved: 0 }
    }

    /// The bucket for a hash.
    #[inline]
    fn bucket(&mut self, hash: u32) -> &mut u32 {
        let hash = hash as usize;
        if !self.former.is_empty() {
            let at = hash & (self.former.len() - 1);
            if at >= self.moved {
                return &mut self.former[at];
            }
        }
        let at = hash & (self.buckets.len() - 1);
        &mut self.buckets[at]
    }

    #[inline]
    pub(crate) fn find(&mut self, records: &Records, key: &FlowKey, hash: u32) -> Option<u32> {
        let mut index = *self.bucket(hash);
        while let Some(record) = records.get(index) {
            if record.key == *key {
                return Some(index);
            }
            index = record.next_in_bucket;
        }
        None
    }

    /// Adds a record, under its key and that one's hash.
    pub(crate) fn insert(&mut self, records: &mut Records, index: u32) {
        let record = &mut records[index];
        let bucket = self.bucket(record.hash);
        record.next_in_bucket = mem::replace(bucket, index);
    }

    /// Takes a record out again.
    pub(crate) fn remove(&mut self, records: &mut Records, index: u32) {
        let record = &records[index];
        let (bucket, after) = (self.bucket(record.hash), record.next_in_bucket);
        let mut at = *bucket;
        if at == index {
            *bucket = after;
            return;
        }
        while let Some(record) = records.get_mut(at) {
            if record.next_in_bucket == index {
                record.next_in_bucket = after;
                return;
            }
            at = record.next_in_bucket;
        }
    }

    /// Whether there are fewer buckets than that.
    pub(crate) fn is_smaller_than(&self, buckets: usize) -> bool {
        self.buckets.len() < buckets
    }

    /// Whether [`FlowTable::grow_step`] is to be called.
    pub(crate) fn is_growing(&self) -> bool {
        !self.former.is_empty()
    }

    /// Begins to use `larger`, empty buckets, a power of two of them. [`FlowTable::grow_step`] is then
    /// to be called until it has done. Hands back what is no larger, or comes while the table grows.
    pub(crate) fn grow(&mut self, larger: Vec<u32>) -> Result<(), Vec<u32>> {
        if !self.former.is_empty() || !self.is_smaller_than(larger.len()) {
            return Err(larger);
        }
        self.former = mem::replace(&mut self.buckets, larger);
        self.moved = 0;
        Ok(())
    }

    /// Moves one chain, if the table is growing; the smaller table, to be dropped, when that is
    /// over.
    pub(crate) fn grow_step(&mut self, records: &mut Records) -> Option<Vec<u32>> {
        let Some(first) = self.former.get_mut(self.moved) else {
            return Some(mem::take(&mut self.former));
        };
        let mut index = mem::replace(first, NONE);
        self.moved += 1;
        while let Some(record) = records.get_mut(index) {
            let at = record.hash as usize & (self.buckets.len() - 1);
            let bucket = mem::replace(&mut self.buckets[at], index);
            index = mem::replace(&mut record.next_in_bucket, bucket);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::connection_record::Record;
    use proptest::prelude::*;
    use reflex_event::Priority;
    use std::collections::HashMap;

    fn key(number: u16) -> FlowKey {
        FlowKey { remote: 1, local: 2, remote_port: number, local_port: 80 }
    }

    proptest! {
        /// Connections come and go before, after and between the steps of growing.
        #[test]
        fn agrees_with_a_map_while_it_grows(
            steps in prop::collection::vec((0u32..10, 0u16..40), 0..400),
            seed in any::<[u8; 16]>(),
        ) {
            let hash = FlowHash::new(&seed);
            let mut table = FlowTable::new();
            let mut records = Records::new();
            records.add_group(Vec::with_capacity(40));
            for number in 0..40 {
                let record = Record::new(0, number, Priority::DEFAULT, 1);
                prop_assert_eq!(records.push(record), number);
            }
            let mut model: HashMap<u16, u32> = HashMap::new();
            // How many buckets there are, and how many chains of a smaller table are to be moved yet.
            let (mut buckets, mut behind) = (16, None);
            for (step, number) in steps {
                match step {
                    0..4 => {
                        let index = u32::from(number);
                        if model.insert(number, index).is_none() {
                            records[index].key = key(number);
                            records[index].hash = hash.of(&key(number));
                            table.insert(&mut records, index);
                        }
                    }
                    4..6 => {
                        if let Some(index) = model.remove(&number) {
                            table.remove(&mut records, index);
                            records[index].key = FlowKey::default();
                        }
                    }
                    6 => {
                        // Twice as large, as large, half as large.
                        let wanted = (buckets * 4) >> (number % 3 + 1);
                        let fits = behind.is_none() && wanted > buckets;
                        prop_assert_eq!(table.is_smaller_than(wanted), wanted > buckets);
                        prop_assert_eq!(table.grow(std::vec![NONE; wanted]).is_ok(), fits);
                        if fits {
                            (behind, buckets) = (Some(buckets), wanted);
                        }
                    }
                    _ if table.is_growing() => {
                        // A chain a step; the step after the last gives the smaller table back.
                        let smaller = table.grow_step(&mut records).map(|table| table.len());
                        let over = behind == Some(0);
                        prop_assert_eq!(smaller, over.then_some(buckets / 2));
                        behind = behind.filter(|_| !over).map(|chains| chains - 1);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.is_growing(), behind.is_some());
                for number in 0..40 {
                    let found = table.find(&records, &key(number), hash.of(&key(number)));
                    prop_assert_eq!(found, model.get(&number).copied());
                }
            }
        }
    }

    /// Peers choose their ports and not the key: whichever it is, tuples are spread evenly, and
    /// those that meet under one do not under another.
    #[test]
    fn tuples_are_spread_by_a_key_that_peers_do_not_know() {
        const BUCKETS: u32 = 1024;
        let tuples = || {
            let vary = |number: u16| {
                let word = u32::from(number) + 1;
                let base = FlowKey { remote: 0, local: 2, remote_port: 0, local_port: 80 };
                [
                    FlowKey { remote: word, ..base },
                    FlowKey { remote: word << 16, ..base },
                    FlowKey { remote_port: number + 1, ..base },
                    FlowKey { local_port: number + 1000, ..base },
                    FlowKey { local: word << 8, ..base },
                ]
            };
            (0..BUCKETS as u16).flat_map(vary)
        };
        let buckets = |seed: u8| {
            let hash = FlowHash::new(&[seed; 16]);
            tuples().map(|key| hash.of(&key) % BUCKETS).collect::<Vec<_>>()
        };
        let (one, other) = (buckets(1), buckets(2));
        for places in [&one, &other] {
            let mut counts = [0; BUCKETS as usize];
            places.iter().for_each(|at| counts[*at as usize] += 1);
            // Five are expected. More than 30 in any of so many: less than one in 10^9.
            assert!(counts.iter().all(|count| *count <= 30), "{counts:?}");
        }
        let together = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(together <= 30, "{together}");
    }
}
