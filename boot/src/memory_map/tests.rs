//! Against a plain set of free pages.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::iter::once;

const FIRST: u64 = LOW_MEMORY / PAGE;

fn entry(addresses: Range<u64>, usable: bool) -> MemoryRange {
    MemoryRange { addresses, usable }
}

/// Free pages, and a check that ranges ascend without touching.
fn pages(memory: &Memory) -> BTreeSet<u64> {
    let ranges: Vec<_> = memory.ranges().collect();
    assert!(ranges.iter().all(|range| range.start < range.end));
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{ranges:x?}");
    ranges.into_iter().flat_map(|range| range.start / PAGE..range.end / PAGE).collect()
}

#[test]
fn qboots_map_is_unsorted_and_has_empty_entries() {
    let map = [
        entry(0xfffc_0000..0x1_0000_0000, false),
        entry(0x10_0000..0x3e_0000, true),
        entry(0..0, true),
        entry(0..0x9_fc00, true),
        entry(0x3e_0000..0x40_0000, false),
    ];
    let memory = Memory::new(&map, 0x10_0000..0x13_8123);
    assert!(memory.ranges().eq(once(0x13_9000..0x3e_0000)));
    assert_eq!(memory.total(), 0x3e_0000 - 0x13_9000);
}

#[test]
fn a_low_page_is_usable_and_in_nobodys_way() {
    let low = [entry(0..0x9_fc00, true)];
    let beside = |taken: &[(u64, u64)]| {
        let taken: Vec<_> = taken.iter().map(|(start, end)| *start..*end).collect();
        low_page(&low, &taken)
    };
    assert_eq!(beside(&[]), Some(0x8000));
    assert_eq!(beside(&[(0x8fff, 0x9000)]), Some(0x3000));
    assert_eq!(beside(&[(0x2fff, 0x3001), (0x3800, 0xa000)]), Some(0xa000));
    assert_eq!(beside(&[(0, 0x9_f001)]), None, "no whole page is left");
    let [low] = low;
    assert_eq!(low_page(&[low, entry(0x8000..0x8001, false)], &[]), Some(0x3000));
    assert_eq!(low_page(&[entry(0..0x8800, true), entry(0..0x8000, false)], &[]), None);
    assert_eq!(low_page(&[entry(0x10_0000..0x40_0000, true)], &[]), None);
}

#[test]
fn nothing_usable_is_nothing_free() {
    let mut memory = Memory::new(&[], 0x10_0000..0x20_0000);
    assert_eq!(memory.total(), 0);
    assert_eq!(memory.take(1, PAGE, u64::MAX), None);
    assert_eq!(memory.take_largest(), None);
}

#[test]
fn the_ends_of_the_address_space_do_no_harm() {
    let memory = Memory::new(&[entry(u64::MAX - 10..u64::MAX, true)], 0..0);
    assert_eq!(memory.total(), 0);
    let memory = Memory::new(
        &[entry(0..u64::MAX, true), entry(0x20_0000..u64::MAX, false)],
        0x10_0000..0x18_0000,
    );
    assert!(memory.ranges().eq(once(0x18_0000..0x20_0000)));
}

#[test]
fn frames_come_from_the_smallest_range() {
    let map = [entry(0x20_0000..0x80_0000, true), entry(0x10_0000..0x10_3000, true)];
    let mut memory = Memory::new(&map, 0..0);
    assert_eq!(memory.take(PAGE, PAGE, u64::MAX), Some(0x10_2000..0x10_3000));
    assert_eq!(memory.take(0x10_0001, 0x10_0000, u64::MAX), Some(0x60_0000..0x70_1000));
    assert_eq!(memory.take(PAGE, PAGE, 0x10_1800), Some(0x10_0000..0x10_1000));
    assert_eq!(memory.take_largest(), Some(0x20_0000..0x60_0000));
}

proptest! {
    /// Free is what a usable entry covers wholly and no other entry, nor the image, touches.
    #[test]
    fn free_pages_are_usable_and_nobody_elses(
        map in prop::collection::vec((0..600_u64 * PAGE, 0..300 * PAGE, any::<bool>()), 0..20),
        image in 0..400_u64,
    ) {
        let image = image * PAGE..(image + 60) * PAGE;
        let map: Vec<_> = map
            .into_iter()
            .map(|(start, length, usable)| entry(start..start + length, usable))
            .collect();
        let free = pages(&Memory::new(&map, image.clone()));
        let touches = |range: &Range<u64>, page: u64| {
            range.start < range.end && range.start < (page + 1) * PAGE && page * PAGE < range.end
        };
        for page in 0..1000 {
            let covered = map.iter().any(|entry| {
                entry.usable
                    && entry.addresses.start <= page * PAGE
                    && (page + 1) * PAGE <= entry.addresses.end
            });
            let taken = map.iter().any(|entry| !entry.usable && touches(&entry.addresses, page));
            let expected = page >= FIRST && covered && !taken && !touches(&image, page);
            prop_assert_eq!(free.contains(&page), expected, "page {:#x}", page);
        }
    }

    /// What is taken was free, and is free again once given back.
    #[test]
    fn taking_and_giving_back_loses_nothing(
        steps in prop::collection::vec((1..40_u64, 0..4_u32, any::<bool>()), 1..60),
    ) {
        let all = [entry(0x10_0000..0x20_0000, true), entry(0x30_0000..0x38_0000, true)];
        let mut memory = Memory::new(&all, 0..0);
        let whole = pages(&memory);
        let mut held: Vec<Range<u64>> = Vec::new();
        for (count, shift, give) in steps {
            if give && !held.is_empty() {
                memory.add(held.swap_remove(count as usize % held.len()));
            } else if let Some(range) = memory.take(count * PAGE, PAGE << shift, u64::MAX) {
                prop_assert_eq!(range.end - range.start, count * PAGE);
                prop_assert!(range.start.is_multiple_of(PAGE << shift));
                held.push(range);
            }
            let mut seen = pages(&memory);
            for page in held.iter().flat_map(|range| range.start / PAGE..range.end / PAGE) {
                prop_assert!(seen.insert(page), "page {:#x} is free and taken", page);
            }
            prop_assert_eq!(&seen, &whole);
        }
    }
}
