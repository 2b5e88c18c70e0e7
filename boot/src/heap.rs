//! The global heap: for start-up and other cold paths. It is first fit, so that its time grows
//! with the number of holes.
//!
//! It counts its calls: that the hot path makes none is proved by [`counters`] standing still.

use crate::exclusion::Exclusive;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use linked_list_allocator::Heap;
use reflex_runtime::heap;

/// Calls since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Allocations, those that failed included.
    pub allocations: u64,
    /// Deallocations.
    pub deallocations: u64,
    /// Bytes in use.
    pub used: usize,
    /// Bytes there are.
    pub size: usize,
    /// Bytes in use that were lost with contexts which failed.
    pub lost: u64,
}

struct Counted {
    heap: Heap,
    allocations: u64,
    deallocations: u64,
}

struct Global(Exclusive<Counted>);

#[cfg_attr(not(test), global_allocator)]
static HEAP: Global =
    Global(Exclusive::new(Counted { heap: Heap::empty(), allocations: 0, deallocations: 0 }));

/// Gives the heap its memory.
///
/// # Safety
/// Once; the `length` bytes at `start` are mapped, writable, and used by nobody else for ever.
pub(crate) unsafe fn init(start: u64, length: u64) {
    HEAP.0.with(|counted| {
        // SAFETY: called once, and the bytes are mapped, writable and nobody else's for ever, says
        // the caller; so the heap is empty until now.
        unsafe { counted.heap.init(start as *mut u8, length as usize) };
    });
}

/// What has been counted.
pub fn counters() -> Counters {
    let counters = HEAP.0.with(|counted| Counters {
        allocations: counted.allocations,
        deallocations: counted.deallocations,
        used: counted.heap.used(),
        size: counted.heap.size(),
        lost: heap::lost(),
    });
    counters.unwrap_or_default()
}

// SAFETY: memory comes from a heap that hands each block out once, for the layout that was asked
// for; `Exclusive` lets one call in at a time. One from within the allocator itself is refused:
// with a null pointer, or by leaking the block. Nothing in here unwinds.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.0.with(|counted| {
            counted.allocations += 1;
            let block = counted.heap.allocate_first_fit(layout).ok()?;
            heap::account(layout.size() as i64);
            Some(block)
        });
        block.flatten().map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.0.with(|counted| {
            counted.deallocations += 1;
            if let Some(block) = NonNull::new(block) {
                // SAFETY: the caller got `block` from `alloc` with the same layout, so the heap
                // handed it out, and uses it no more.
                unsafe { counted.heap.deallocate(block, layout) };
                heap::account(-(layout.size() as i64));
            }
        });
    }
}
