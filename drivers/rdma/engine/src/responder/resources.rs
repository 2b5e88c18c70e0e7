//! What is kept of reads and atomics, so that they can be answered again.

use crate::Place;
use alloc::boxed::Box;
use alloc::vec;
use reflex_rdma_wire::{Psn, RKey, Reth};

/// What a request asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Read {
        place: Place,
        address: u64,
        key: RKey,
        length: u32,
    },
    /// It is carried out once; what was there before is the answer, as often as it is asked for.
    Atomic {
        original: u64,
    },
}

/// One read or atomic of the peer's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    pub(super) first: Psn,
    /// Packets of the answer; 0 when the resource was never used.
    pub(super) packets: u32,
    pub(super) asked: Asked,
    /// The next packet of the answer
    pub(super) cursor: u32,
    /// and where to stop: that far the answer was asked for again.
    pub(super) end: u32,
    /// It is among the replies that are due.
    pub(super) is_due: bool,
    /// It was answered in full at least once.
    pub(super) is_answered: bool,
}

impl Resource {
    /// From which packet to which a duplicate of the read asks for; `None` when it is no part of
    /// the read, as that was asked for.
    pub(super) fn part(&self, psn: Psn, reth: &Reth, shift: u32) -> Option<(u32, u32)> {
        let Asked::Read { address, key, length, .. } = self.asked else { return None };
        let from = psn.since(self.first);
        let skip = from.checked_shl(shift)?;
        let rest = length.checked_sub(skip)?;
        let is_part = from < self.packets
            && reth.key == key
            && reth.address == address.wrapping_add(u64::from(skip))
            && reth.length <= rest;
        // Of a whole number of packets, unless it reaches to the end.
        let packets = if reth.length == rest { self.packets - from } else { reth.length >> shift };
        let is_even = reth.length == rest || reth.length.trailing_zeros() >= shift && packets > 0;
        (is_part && is_even).then(|| (from, from + packets))
    }
}

/// A ring of resources: the oldest gives way to the newest.
#[derive(Debug)]
pub(super) struct Resources {
    ring: Box<[Resource]>,
    next: u8,
    /// How many of them are in use, as agreed with the peer.
    count: u8,
}

impl Resources {
    pub(super) fn new(most: u8) -> Self {
        let unused = Resource {
            first: Psn::default(),
            packets: 0,
            asked: Asked::Atomic { original: 0 },
            cursor: 0,
            end: 0,
            is_due: false,
            is_answered: false,
        };
        Self { ring: vec![unused; usize::from(most)].into_boxed_slice(), next: 0, count: most }
    }

    /// Forgets all, and uses that many from now on.
    pub(super) fn reset(&mut self, count: u8) {
        for resource in &mut self.ring {
            (resource.packets, resource.is_due) = (0, false);
        }
        (self.next, self.count) = (0, count);
    }

    /// The one that gives way; `None` when it was not answered yet: the peer then has more
    /// outstanding than agreed. (It may be that it is being answered *again*, to no avail: the
    /// peer would not go on if it had not got an answer.)
    #[inline]
    pub(super) fn vacant(&self) -> Option<u8> {
        let index = if self.next < self.count { self.next } else { 0 };
        let resource = self.ring.get(usize::from(index))?;
        let gives_way = !resource.is_due || resource.is_answered;
        (self.count != 0 && gives_way).then_some(index)
    }

    #[inline]
    pub(super) fn is_due(&self, index: u8) -> bool {
        self.ring.get(usize::from(index)).is_some_and(|resource| resource.is_due)
    }

    #[inline]
    pub(super) fn put(&mut self, index: u8, resource: Resource) {
        if let Some(to) = self.ring.get_mut(usize::from(index)) {
            *to = resource;
            self.next = index + 1;
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u8) -> Option<&mut Resource> {
        self.ring.get_mut(usize::from(index))
    }

    /// The latest with that number in its answer: numbers come again. There are few, and only
    /// duplicates are looked for.
    pub(super) fn find(&self, psn: Psn) -> Option<u8> {
        let holds = |resource: &Resource| psn.since(resource.first) < resource.packets;
        let (earlier, later) = self.ring.split_at_checked(usize::from(self.next))?;
        let found = earlier.iter().rposition(holds);
        let found = found.or_else(|| Some(earlier.len() + later.iter().rposition(holds)?));
        found.map(|index| index as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    fn read(length: u32) -> Resource {
        let place = Place { region: Region(1), offset: 0 };
        Resource {
            first: Psn::new(0xff_fffe),
            packets: length.div_ceil(256).max(1),
            asked: Asked::Read { place, address: 0x1000, key: RKey(7), length },
            cursor: 0,
            end: 0,
            is_due: false,
            is_answered: false,
        }
    }

    #[test]
    fn a_duplicate_read_is_a_part_of_the_read() {
        let ask = |psn, address, length| {
            let reth = Reth { address, key: RKey(7), length };
            read(1000).part(Psn::new(psn), &reth, 8)
        };
        assert_eq!(ask(0xff_fffe, 0x1000, 1000), Some((0, 4)), "all of it");
        assert_eq!(ask(0x00_0000, 0x1200, 488), Some((2, 4)), "its end");
        assert_eq!(ask(0xff_ffff, 0x1100, 512), Some((1, 3)), "its middle");
        assert_eq!(ask(0xff_ffff, 0x1100, 500), None, "packets that it did not have");
        assert_eq!(ask(0xff_ffff, 0x1000, 744), None, "another address");
        assert_eq!(ask(0x00_0000, 0x1200, 489), None, "more than there was");
        assert_eq!(ask(0x00_0002, 0x1400, 0), None, "behind it");
        let reth = Reth { address: 0x1000, key: RKey(8), length: 1000 };
        assert_eq!(read(1000).part(Psn::new(0xff_fffe), &reth, 8), None, "another key");
    }

    #[test]
    fn the_latest_of_a_number_is_found() {
        let mut resources = Resources::new(3);
        for (round, length) in [1, 2, 3, 4].into_iter().enumerate() {
            let index = resources.vacant().expect("room");
            resources.put(index, read(length));
            assert_eq!(usize::from(index), round % 3);
            assert_eq!(resources.find(Psn::new(0xff_fffe)), Some(index));
        }
        assert_eq!(resources.find(Psn::new(0)), None);
    }

    #[test]
    fn a_resource_gives_way_unless_it_is_due() {
        let mut resources = Resources::new(2);
        let first = resources.vacant().expect("room");
        resources.put(first, Resource { is_due: true, ..read(1) });
        let second = resources.vacant().expect("room");
        resources.put(second, read(1));
        assert_eq!(resources.vacant(), None);
        resources.get_mut(first).expect("the first").is_answered = true;
        assert_eq!(resources.vacant(), Some(first), "though it is answered again");
        resources.get_mut(first).expect("the first").is_due = false;
        assert_eq!(resources.vacant(), Some(first));
        resources.reset(1);
        assert_eq!(resources.find(Psn::new(0xff_fffe)), None, "forgotten");
        resources.reset(0);
        assert_eq!(resources.vacant(), None, "none agreed");
    }
}
