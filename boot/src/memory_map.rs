//! Memory nobody has yet: what the boot loader calls usable, less the image and all below
//! 1 MiB.

use crate::start_info::{MOST_RANGES, MemoryRange};
use core::ops::Range;
use reflex_arch::paging::PAGE;

/// Below it are the firmware's data and real mode's leftovers: never handed out.
const LOW_MEMORY: u64 = 1 << 20;

/// The page in which other processors begin, if it is free: on all known firmware it is, and not in use.
const USUAL_LOW_PAGE: u64 = 0x8000;
/// Below this are real mode's vectors and the BIOS data area, and what loaders put behind those.
const LOWEST_PAGE: u64 = 0x3000;

/// The most ranges that are kept. Taking from the middle of a range makes one more; should
/// they run out, the smallest remainder is given up.
const MOST: usize = 2 * MOST_RANGES;

/// Free memory, by whole pages. Nothing here reads or writes it.
#[derive(Clone, Debug)]
pub struct Memory {
    ranges: [(u64, u64); MOST],
    count: usize,
}

impl Memory {
    /// What `map` calls usable and no other entry of it calls otherwise, less `image`.
    pub(crate) fn new(map: &[MemoryRange], image: Range<u64>) -> Self {
        let mut memory = Self { ranges: [(0, 0); MOST], count: 0 };
        for entry in map.iter().filter(|entry| entry.usable) {
            let start = entry.addresses.start.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
            let start = start.max(LOW_MEMORY);
            let end = entry.addresses.end & !(PAGE - 1);
            // Usable entries may overlap: what is there already is taken out first.
            memory.remove(start..end);
            memory.add(start..end);
        }
        for entry in map.iter().filter(|entry| !entry.usable) {
            memory.remove(entry.addresses.clone());
        }
        memory.remove(image);
        memory
    }

    /// Free ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.ranges[..self.count].iter().map(|(start, end)| *start..*end)
    }

    /// Free bytes.
    pub fn total(&self) -> u64 {
        self.ranges().map(|range| range.end - range.start).sum()
    }

    /// Takes `bytes`, rounded up to pages and aligned to `align` (a power of two of at least a
    /// page), all below `limit`: from the end of the smallest range that has them.
    pub fn take(&mut self, bytes: u64, align: u64, limit: u64) -> Option<Range<u64>> {
        let bytes = bytes.max(1).checked_next_multiple_of(PAGE)?;
        let place = |range: &Range<u64>| {
            let start = range.end.min(limit).checked_sub(bytes)? & !(align - 1);
            (start >= range.start).then_some(start..start + bytes)
        };
        let best = self.ranges().filter(|range| place(range).is_some());
        let taken = place(&best.min_by_key(|range| range.end - range.start)?)?;
        self.remove(taken.clone());
        Some(taken)
    }

    /// Takes the largest range.
    pub fn take_largest(&mut self) -> Option<Range<u64>> {
        let largest = self.ranges().max_by_key(|range| range.end - range.start)?;
        self.remove(largest.clone());
        Some(largest)
    }

    /// Gives whole pages back. What cannot be kept, because there are too many ranges, is lost.
    pub fn add(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        // Joined with its neighbours, so that equal memory is one range however it came back.
        let mut joined = range;
        for other in 0..self.count {
            let (start, end) = self.ranges[other];
            if end == joined.start {
                joined.start = start;
            } else if start == joined.end {
                joined.end = end;
            }
        }
        self.remove(joined.clone());
        self.insert(joined.start, joined.end);
    }

    /// Takes whatever is free of `range` out, rounding it outward to pages.
    fn remove(&mut self, range: Range<u64>) {
        let hole_start = range.start & !(PAGE - 1);
        let hole_end = range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        if range.start >= range.end {
            return;
        }
        let mut place = 0;
        while place < self.count {
            let (start, end) = self.ranges[place];
            if hole_end <= start || end <= hole_start {
                place += 1;
                continue;
            }
            self.delete(place);
            let rests = [(start, hole_start.max(start)), (hole_end.min(end), end)];
            for (start, end) in rests.into_iter().filter(|(start, end)| start < end) {
                self.insert(start, end);
                place += 1;
            }
        }
    }

    /// Adds a range that touches no other, in place of the smallest when there is no room.
    fn insert(&mut self, start: u64, end: u64) {
        if self.count == MOST {
            let size = |place: &usize| self.ranges[*place].1 - self.ranges[*place].0;
            match (0..MOST).min_by_key(size) {
                Some(smallest) if size(&smallest) < end - start => self.delete(smallest),
                _ => return,
            }
        }
        let place = self.ranges[..self.count].partition_point(|other| other.0 < start);
        self.ranges.copy_within(place..self.count, place + 1);
        self.ranges[place] = (start, end);
        self.count += 1;
    }

    fn delete(&mut self, place: usize) {
        self.ranges.copy_within(place + 1..self.count, place);
        self.count -= 1;
    }
}

/// A page of low memory that `map` calls usable and nothing else, and that none of `taken` reaches into: for the
/// first instructions of other processors, which begin below 1 MiB. It is in no [`Memory`].
pub(crate) fn low_page(map: &[MemoryRange], taken: &[Range<u64>]) -> Option<u64> {
    let holds = |range: &Range<u64>, page| range.start <= page && page + PAGE <= range.end;
    let meets = |range: &Range<u64>, page| range.start < page + PAGE && page < range.end;
    let usable = |page| map.iter().any(|entry| entry.usable && holds(&entry.addresses, page));
    let otherwise = |page| map.iter().any(|entry| !entry.usable && meets(&entry.addresses, page));
    let is_free =
        |page: &u64| usable(*page) && !otherwise(*page) && !taken.iter().any(|it| meets(it, *page));
    let others = (LOWEST_PAGE..LOW_MEMORY).step_by(PAGE as usize);
    core::iter::once(USUAL_LOW_PAGE).chain(others).find(is_free)
}

#[cfg(test)]
mod tests;
