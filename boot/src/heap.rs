//! The global heap: what `alloc`'s types take. Every call takes constant time, whatever else is live
//! and however many holes there are.
//!
//! It begins with a small region, in which the kernel starts; that one is first fit
//! (`linked_list_allocator`), as what is taken there hardly ever comes back. All else comes from chunks of
//! the machine's free memory ([`reflex_memory::Heap`]), which the heap takes as it needs them, up to its bound.
//!
//! It counts its calls: that the hot path makes none is proved by [`counters`] standing still. What it
//! refuses it tells: see [`refusal`](crate::refusal).

use crate::exclusion::Exclusive;
pub use crate::heap_counters::Counters;
use crate::refusal::{Refusal, Told};
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use linked_list_allocator::Heap as FirstFit;
use reflex_memory::Heap;
use reflex_runtime::{Running, Runtime, heap, memory, section};

/// Bytes of the region for start-up: enough for what comes before the kernel gives memory out.
pub(crate) const START_UP: usize = 64 << 10;
/// The heap grows by multiples of this. Chunks that follow each other become one, so that larger ones would
/// only save a growth, of some hundred instructions, now and then; and of the least machine's 4 MiB one
/// chunk is a sixty-fourth.
const CHUNK: usize = 64 << 10;
/// Of the machine's free memory the heap may have one part in so many when nothing is said: as much as is
/// left for contexts, stacks and buffers.
#[cfg(not(test))]
pub(crate) const SHARE: u64 = 2;

struct Heaps {
    start_up: FirstFit,
    heap: Heap,
    /// What tells which context runs, once there are contexts.
    kernel: Option<Runtime>,
    /// Nothing until [`init`]: the start of all of this is zero, and so takes no place in the file.
    bound: usize,
    allocations: u64,
    deallocations: u64,
    told: Told,
}

struct Global(Exclusive<Heaps>);

#[cfg_attr(not(test), global_allocator)]
static HEAP: Global = Global(Exclusive::new(Heaps {
    start_up: FirstFit::empty(),
    heap: Heap::new(),
    kernel: None,
    bound: 0,
    allocations: 0,
    deallocations: 0,
    told: Told::NOTHING,
}));

/// Gives the heap the memory that start-up needs.
pub(crate) fn init(region: &'static mut [MaybeUninit<u8>]) {
    HEAP.0.with(|heaps| {
        heaps.bound = region.len();
        heaps.start_up.init_from_slice(region);
    });
}

/// From now on the heap grows out of the machine's free memory, as soon as the kernel gives that out, to at
/// most `bytes`.
#[cfg(not(test))]
pub(crate) fn set_bound(bytes: usize) {
    HEAP.0.with(|heaps| heaps.bound = bytes);
}

/// From now on every call takes constant time, and `kernel` tells which context is refused.
#[cfg(not(test))]
pub(crate) fn serve(kernel: Runtime) {
    HEAP.0.with(|heaps| heaps.kernel = Some(kernel));
}

/// What has been counted.
pub fn counters() -> Counters {
    HEAP.0.with(|heaps| heaps.counters()).unwrap_or_default()
}

impl Heaps {
    fn counters(&self) -> Counters {
        Counters {
            allocations: self.allocations,
            deallocations: self.deallocations,
            refused: self.told.refused(),
            used: self.start_up.used() + self.heap.used(),
            size: self.size(),
            bound: self.bound,
            lost: heap::lost(),
        }
    }

    fn size(&self) -> usize {
        self.start_up.size() + self.heap.size()
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if self.kernel.is_none() {
            return self.allocate_early(layout);
        }
        let block = self.heap.allocate(layout)?;
        self.allocations += 1;
        self.account(layout.size() as i64);
        Some(block)
    }

    /// As long as the kernel starts.
    #[cold]
    #[inline(never)]
    fn allocate_early(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let early = self.start_up.allocate_first_fit(layout).ok();
        let block = early.or_else(|| self.heap.allocate(layout))?;
        self.allocations += 1;
        Some(block)
    }

    /// Counts what the running context takes, or gives back if that is less than 0.
    fn account(&self, bytes: i64) {
        if self.kernel.is_some() {
            heap::account(bytes);
        }
    }

    /// Takes a chunk of `usual` bytes, or of at least `least`; false when the bound or the machine forbids it. The
    /// memory is mapped, and nothing is written but the chunk's two ends.
    fn grow(&mut self, least: usize, usual: usize) -> bool {
        let allowed = self.bound.saturating_sub(self.size());
        if least > allowed {
            return false;
        }
        // What is left of the bound is no multiple, and what is left of the machine may be less.
        let chunk = memory::take(usual.min(allowed), Heap::ALIGN);
        let chunk = chunk.or_else(|| memory::take(least, Heap::ALIGN));
        // SAFETY: fresh memory, mapped as data, which the kernel gives out once.
        chunk.inspect(|chunk| unsafe { self.heap.give(*chunk) }).is_some()
    }

    /// Counts an allocation that failed; returns the context to be told of, if one is. `alone` is whether the
    /// heap's section is the only one that is open.
    fn refuse(&mut self, alone: bool) -> Option<(Running, Counters)> {
        self.allocations += 1;
        let running = self.told.refuse(self.kernel.filter(|_| alone))?;
        Some((running, self.counters()))
    }
}

impl Global {
    /// A block for which the heap grows, or null.
    #[cold]
    #[inline(never)]
    fn allocate_growing(&self, layout: Layout) -> *mut u8 {
        while self.grow(layout) {
            if let Some(Some(block)) = self.0.with(|heaps| heaps.allocate(layout)) {
                return block.as_ptr();
            }
        }
        ptr::null_mut()
    }

    /// A chunk for a block that no chunk has room for, or a word about why there is none. A chunk and the block
    /// are taken in two sections, each of which is short; should another context come in between and take
    /// the chunk's room, then the next one is for the block.
    #[cold]
    #[inline(never)]
    fn grow(&self, layout: Layout) -> bool {
        let grown = Heap::region_for(layout).is_some_and(|least| {
            let usual = least.checked_next_multiple_of(CHUNK).unwrap_or(least);
            self.0.with(|heaps| heaps.grow(least, usual)) == Some(true)
        });
        if !grown {
            // In a section of the caller's a line would keep all others waiting.
            let alone = !section::deferred();
            let told = self.0.with(|heaps| heaps.refuse(alone)).flatten();
            if let Some((running, heap)) = told {
                log::warn!("{}", Refusal { running, layout, heap });
            }
        }
        grown
    }
}

// SAFETY: memory comes from a heap that hands each block out once, for the layout that was asked
// for; `Exclusive` lets one call in at a time. One from within the allocator itself is refused:
// with a null pointer, or by leaking the block. Nothing in here unwinds.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.0.with(|heaps| heaps.allocate(layout)) {
            Some(Some(block)) => block.as_ptr(),
            Some(None) => self.allocate_growing(layout),
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.0.with(|heaps| {
            heaps.deallocations += 1;
            if let Some(block) = NonNull::new(block) {
                let start_up = heaps.start_up.bottom()..heaps.start_up.top();
                // SAFETY: the caller got `block` from `alloc` with the same layout, and uses it no more; which of
                // the two handed it out is told by where it is.
                unsafe {
                    if start_up.contains(&block.as_ptr()) {
                        heaps.start_up.deallocate(block, layout);
                    } else {
                        heaps.heap.deallocate(block, layout);
                    }
                }
                heaps.account(-(layout.size() as i64));
            }
        });
    }
}
