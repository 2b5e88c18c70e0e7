//! An allocator that counts each thread's calls, to prove that something makes none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting. To be a test's `#[global_allocator]`.
pub struct CountingAllocator;

impl CountingAllocator {
    /// Allocations, reallocations and deallocations by this thread so far.
    pub fn calls() -> u64 {
        CALLS.with(Cell::get)
    }
}

fn count() {
    // No destructor, so it outlives every other thread-local that may allocate.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's duty is ours.
        unsafe { System.alloc(layout) }
    }

    // Not by `alloc` and a write: zeroed memory that nobody touches is to stay no memory at all.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's duty is ours.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's duty is ours, and the block came from the same allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(block, layout, size) }
    }
}
