//! The heap: blocks apart from each other, whole again in the end, whatever came between.

use proptest::prelude::*;
use reflex_memory::Heap;
use std::alloc::Layout;
use std::ptr::NonNull;

const CHUNK: usize = 64 << 10;

/// Memory for heaps, which they keep for ever.
fn region(bytes: usize) -> NonNull<[u8]> {
    let words = vec![[0_u128; 2]; bytes.div_ceil(32)].leak();
    let start = NonNull::from(words).cast::<u8>();
    assert!(start.addr().get().is_multiple_of(16));
    let shift = start.addr().get() % Heap::ALIGN;
    // A vector of the host's is only sure to be a multiple of 16.
    let start = if shift == 0 {
        start
    } else {
        // SAFETY: within the vector, which has at least that many bytes.
        unsafe { start.add(Heap::ALIGN - shift) }
    };
    NonNull::slice_from_raw_parts(start, if shift == 0 { bytes } else { bytes - Heap::ALIGN })
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A heap with one region.
fn heap(bytes: usize) -> Heap {
    let mut heap = Heap::new();
    // SAFETY: leaked memory, which nobody else has.
    unsafe { heap.give(region(bytes)) };
    heap
}

#[test]
fn one_without_memory_refuses() {
    let mut heap = Heap::new();
    assert_eq!(heap.allocate(layout(1, 1)), None);
    assert_eq!((heap.used(), heap.size()), (0, 0));
}

#[test]
fn what_was_given_back_is_whole_again() {
    let mut heap = heap(CHUNK);
    let largest = (0..CHUNK).rev().step_by(64).map(|size| layout(size, 8));
    let largest = largest.clone().find(|layout| {
        let block = heap.allocate(*layout);
        // SAFETY: taken just now for this layout.
        block.inspect(|block| unsafe { heap.deallocate(*block, *layout) }).is_some()
    });
    let largest = largest.expect("an empty heap has room");
    assert!(largest.size() > CHUNK * 9 / 10, "{largest:?}");
    let small = layout(100, 8);
    let blocks: Vec<_> = std::iter::from_fn(|| heap.allocate(small)).collect();
    assert!(blocks.len() > CHUNK / 150, "{}", blocks.len());
    assert_eq!(heap.used(), 100 * blocks.len());
    // Every second one first: holes that join when the others come back.
    for first in [0, 1] {
        for block in blocks.iter().skip(first).step_by(2) {
            // SAFETY: taken above, given back once.
            unsafe { heap.deallocate(*block, small) };
        }
    }
    assert_eq!(heap.used(), 0);
    assert!(heap.allocate(largest).is_some());
}

#[test]
fn neighbouring_regions_become_one() {
    let whole = region(4 * CHUNK);
    let start = whole.cast::<u8>();
    let mut heap = Heap::new();
    for place in 0..3 {
        // SAFETY: parts of leaked memory that do not overlap.
        unsafe {
            let part = NonNull::slice_from_raw_parts(start.add(place * CHUNK), CHUNK);
            heap.give(part);
        }
    }
    assert_eq!(heap.size(), 3 * CHUNK);
    assert!(heap.allocate(layout(5 * CHUNK / 2, 8)).is_some());
}

#[test]
fn regions_too_small_to_use_are_left_alone() {
    let mut heap = Heap::new();
    let region = NonNull::slice_from_raw_parts(region(CHUNK).cast::<u8>(), 32);
    // SAFETY: leaked memory.
    unsafe { heap.give(region) };
    assert_eq!((heap.size(), heap.allocate(layout(1, 1))), (0, None));
}

#[test]
fn no_region_has_room_for_more_than_there_can_be() {
    let most = isize::MAX as usize;
    assert_eq!(Heap::region_for(layout(most - 7, 8)), None);
    assert_eq!(Heap::region_for(layout(most - 4096, 4096)), None);
    assert_eq!(Heap::region_for(layout(1, 1)), Some(64));
}

proptest! {
    /// A region of the size that is said has room, and hardly any larger is asked for.
    #[test]
    fn a_region_of_the_size_that_is_said_has_room(size in 1_usize..200_000, shift in 0_u32..13) {
        let layout = layout(size, 1 << shift);
        let bytes = Heap::region_for(layout).unwrap();
        prop_assert!(bytes <= (size + layout.align() + 64) * 17 / 16 + 64, "{bytes}");
        let mut heap = Heap::new();
        let region = NonNull::slice_from_raw_parts(region(bytes + 32).cast::<u8>(), bytes);
        // SAFETY: leaked memory.
        unsafe { heap.give(region) };
        let block = heap.allocate(layout);
        prop_assert!(block.is_some_and(|block| block.addr().get() % layout.align() == 0));
    }

    /// Whatever is taken and given back, blocks keep what is written into them: they are apart, and in a
    /// region.
    #[test]
    fn blocks_are_apart_and_keep_what_they_hold(
        steps in prop::collection::vec((1_usize..3_000, 0_u32..8, any::<bool>()), 1..300),
    ) {
        let regions = [region(CHUNK), region(CHUNK / 2)];
        let mut heap = Heap::new();
        for region in regions {
            // SAFETY: leaked memory.
            unsafe { heap.give(region) };
        }
        let mut held: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
        let (mut used, mut mark) = (0, 0_u8);
        for (size, shift, back) in steps {
            if back && !held.is_empty() {
                let (block, layout, mark) = held.swap_remove(size % held.len());
                // SAFETY: taken for this layout, of which all bytes were written.
                let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) };
                prop_assert!(bytes.iter().all(|byte| *byte == mark));
                // SAFETY: it is given back once.
                unsafe { heap.deallocate(block, layout) };
                used -= layout.size();
            } else {
                let layout = layout(size, 1 << shift);
                let Some(block) = heap.allocate(layout) else { continue };
                let (first, last) = (block.addr().get(), block.addr().get() + size);
                let inside = |region: &NonNull<[u8]>| {
                    let start = region.cast::<u8>().addr().get();
                    start <= first && last <= start + region.len()
                };
                prop_assert!(first % layout.align() == 0 && regions.iter().any(inside));
                mark = mark.wrapping_add(1);
                // SAFETY: a block of that size.
                unsafe { block.as_ptr().write_bytes(mark, size) };
                held.push((block, layout, mark));
                used += size;
            }
            prop_assert_eq!(heap.used(), used);
        }
    }
}
