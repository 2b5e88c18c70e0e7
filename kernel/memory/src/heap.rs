//! A heap of which every operation takes constant time: two-level segregated fit (Masmano, Ripoll, Crespo,
//! Real, ECRTS 2004), over regions that its owner gives it one by one.
//!
//! What it does not have it refuses, in constant time, too; [`Heap::region_for`] says how large a region
//! would do. It never gives one back: regions that lie next to each other become one.

use core::alloc::Layout;
use core::ptr::NonNull;
use rlsf::Tlsf;

/// Classes of size for each power of two: a request is rounded up by at most this part of itself.
const DIVISIONS: usize = 16;

/// The allocator joins regions only when its largest class has no end in the address space: with 59
/// powers of two above [`GRANULARITY`].
type Blocks = Tlsf<'static, u64, u16, 59, DIVISIONS>;

/// Bytes that blocks are multiples of, and regions begin at multiples of.
const GRANULARITY: usize = rlsf::GRANULARITY;
/// Bytes before each block that is handed out.
const HEADER: usize = GRANULARITY / 2;

/// A heap. It hands out nothing before it has been given a region.
#[derive(Debug)]
pub struct Heap {
    blocks: Blocks,
    /// Where the region ends that was given last.
    end: usize,
    used: usize,
    size: usize,
}

impl Heap {
    /// Regions begin at a multiple of this.
    pub const ALIGN: usize = GRANULARITY;

    /// A heap without memory.
    pub const fn new() -> Self {
        Self { blocks: Blocks::new(), end: 0, used: 0, size: 0 }
    }

    /// Adds a region; one that begins where the last one ended becomes one with it.
    ///
    /// # Safety
    /// The bytes are readable and writable, begin at a multiple of [`Heap::ALIGN`], and are used by nobody
    /// else for as long as the program runs.
    pub unsafe fn give(&mut self, region: NonNull<[u8]>) {
        let start = region.cast::<u8>().addr().get();
        // SAFETY: the region is the heap's alone from now on, for ever, says the caller; `end` is where a
        // region ends that was added, as it is 0 before the first.
        let taken = unsafe {
            if start == self.end {
                self.blocks.append_free_block_ptr(region)
            } else {
                self.blocks.insert_free_block_ptr(region).map_or(0, usize::from)
            }
        };
        if taken > 0 {
            self.end = start + taken;
            self.size += taken;
        }
    }

    /// Takes a block; `None` when no region has one that large.
    #[inline]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.blocks.allocate(layout)?;
        self.used += layout.size();
        Some(block)
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// The block was taken from this heap for the same layout, and nobody uses it any more.
    #[inline]
    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: it came from `allocate` with the same alignment, says the caller.
        unsafe { self.blocks.deallocate(block, layout.align()) };
        self.used -= layout.size();
    }

    /// The least bytes of a region that is sure to have room for `layout`; `None` when none has.
    pub fn region_for(layout: Layout) -> Option<usize> {
        let padding = layout.align().saturating_sub(HEADER);
        let block = layout.size().checked_add(padding)?.checked_add(HEADER)?;
        let block = block.checked_next_multiple_of(GRANULARITY)?;
        // A search begins at the class all of which is large enough.
        let class = (1_usize << block.ilog2()) / DIVISIONS;
        let block = block.checked_next_multiple_of(class)?;
        // The region's end is marked by a block of its own.
        block.checked_add(GRANULARITY).filter(|bytes| *bytes <= isize::MAX as usize)
    }

    /// Bytes that were asked for and not given back.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes of all regions: beside what was asked for, each block has a header of 16 bytes and is
    /// rounded up to a multiple of 32.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}
