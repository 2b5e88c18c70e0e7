//! The buddy allocator: which granules are free, over indices alone.
//!
//! A block of order `k` is `2^k` granules whose first index is a multiple of `2^k`; its buddy
//! differs in bit `k` of the index. (Knowlton, "A fast storage allocator", CACM 8(10), 1965.)
//!
//! ```text
//!             allocate, split                   free, merge
//!   Free k+1 ----------------> Free k + Allocated k ---------> Free k+1
//!                                |  ^
//!                           free |  | allocate, same order
//!                                v  |
//!                              Kept k  ------ next free, or a shortage ------> Free, merged
//! ```
//!
//! The block freed last is kept aside, unmerged. Alternating allocations and releases, which
//! is what events do, would otherwise split a large block all the way down and merge it all the
//! way up each time; one unmerged block ends both at once.

use crate::Error;

#[cfg(test)]
mod tests;

/// No block: the end of a free list.
const NIL: u32 = u32::MAX;

/// Orders there are, as a table's length.
const ORDERS: usize = 32;

/// The tags of a granule's state byte; the lower five bits are the order of the block that
/// begins there. Where none begins any more, the byte is left over and not `ALLOCATED`.
const TAG: u8 = 0b1110_0000;
const NONE: u8 = 0;
const FREE: u8 = 0b0010_0000;
const ALLOCATED: u8 = 0b0100_0000;
const KEPT: u8 = 0b0110_0000;

/// A free block's neighbours in the list of its order.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Link {
    next: u32,
    previous: u32,
}

/// The bookkeeping of a [`Buddy`], beside the memory and not in it: a stray write to a freed
/// block cannot corrupt the allocator, and blocks that a device can write need no trust.
///
/// Of two buddies of order 0 at most one is in a free list (two would have been merged), and
/// larger blocks begin at even granules: one link serves two granules.
#[derive(Debug)]
pub struct Table<'t> {
    links: &'t mut [Link],
    states: &'t mut [u8],
}

impl<'t> Table<'t> {
    /// A table over `states.len()` granules; what the slices hold does not matter.
    ///
    /// # Errors
    /// [`Error::RegionTooSmall`] without granules or with fewer than
    /// [`links_for`](Self::links_for) links, [`Error::RegionTooLarge`] with more than
    /// [`Buddy::MAX_GRANULES`].
    pub fn new(links: &'t mut [Link], states: &'t mut [u8]) -> Result<Self, Error> {
        if states.len() > Buddy::MAX_GRANULES {
            return Err(Error::RegionTooLarge);
        }
        if states.is_empty() || links.len() < Self::links_for(states.len()) {
            return Err(Error::RegionTooSmall);
        }
        Ok(Self { links, states })
    }

    /// Links that `granules` granules need.
    pub const fn links_for(granules: usize) -> usize {
        granules.div_ceil(2)
    }
}

/// Which granules are free. Every operation takes at most [`Buddy::ORDERS`] steps.
#[derive(Debug)]
pub struct Buddy<'t> {
    table: Table<'t>,
    /// First block of each order's free list.
    heads: [u32; ORDERS],
    /// Bit `k` is set while the list of order `k` has a block.
    occupied: u32,
    /// The block freed last, not merged yet, or `NIL`; its order is in its state.
    kept: u32,
}

impl<'t> Buddy<'t> {
    /// Orders there are; the largest block has `2^31` granules.
    pub const ORDERS: u32 = ORDERS as u32;
    /// The most granules one allocator can have.
    pub const MAX_GRANULES: usize = 1 << (Self::ORDERS - 1);

    /// An allocator of all the table's granules, all free. Their number need not be a power of
    /// two.
    pub fn new(table: Table<'t>) -> Self {
        table.states.fill(NONE);
        let granules = table.states.len() as u32;
        let mut buddy = Self { table, heads: [NIL; ORDERS], occupied: 0, kept: NIL };
        // Largest first, so that each block begins at a multiple of its size.
        let mut block = 0;
        for order in (0..Self::ORDERS).rev() {
            if granules & (1 << order) != 0 {
                buddy.insert(block, order);
                block += 1 << order;
            }
        }
        buddy
    }

    /// Takes a block of `2^order` granules and returns its first.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when no free block is large enough, [`Error::TooLarge`] from
    /// [`Buddy::ORDERS`] up.
    #[inline]
    pub fn allocate(&mut self, order: u32) -> Result<u32, Error> {
        // Before anything else: a larger order would spill into a state's tag.
        if order >= Self::ORDERS {
            return Err(Error::TooLarge);
        }
        if let Some(state) = self.table.states.get_mut(self.kept as usize)
            && *state == KEPT | order as u8
        {
            *state = ALLOCATED | order as u8;
            return Ok(core::mem::replace(&mut self.kept, NIL));
        }
        self.split(order)
    }

    /// Gives the block that begins at `block` back and returns its order.
    ///
    /// # Errors
    /// [`Error::NotAllocated`], and nothing has changed, when no allocated block begins there.
    #[inline]
    pub fn free(&mut self, block: u32) -> Result<u32, Error> {
        let state = self.table.states.get_mut(block as usize).ok_or(Error::NotAllocated)?;
        if *state & TAG != ALLOCATED {
            return Err(Error::NotAllocated);
        }
        let order = u32::from(*state & !TAG);
        *state = KEPT | order as u8;
        let before = core::mem::replace(&mut self.kept, block);
        if before != NIL {
            self.merge(before);
        }
        Ok(order)
    }

    /// The order of the largest free block. Merges the kept one first.
    pub fn largest_free(&mut self) -> Option<u32> {
        self.settle();
        self.occupied.checked_ilog2()
    }

    /// Takes a block from the lists; `order` is below [`Buddy::ORDERS`].
    #[inline(never)]
    fn split(&mut self, order: u32) -> Result<u32, Error> {
        let mut fitting = self.occupied & (u32::MAX << order);
        if fitting == 0 {
            // What the kept block merges to may be large enough.
            self.settle();
            fitting = self.occupied & (u32::MAX << order);
            if fitting == 0 {
                return Err(Error::Exhausted);
            }
        }
        let mut have = fitting.trailing_zeros();
        let block = self.heads[have as usize];
        self.remove(block, have);
        while have > order {
            have -= 1;
            self.insert(block + (1 << have), have);
        }
        self.table.states[block as usize] = ALLOCATED | order as u8;
        Ok(block)
    }

    /// Merges the kept block, if there is one.
    fn settle(&mut self) {
        let kept = core::mem::replace(&mut self.kept, NIL);
        if kept != NIL {
            self.merge(kept);
        }
    }

    /// Puts a kept block into the lists, merged with its buddies as far as they are free.
    #[inline(never)]
    fn merge(&mut self, mut block: u32) {
        let mut order = u32::from(self.table.states[block as usize] & !TAG);
        // A buddy past the end, of another order, or not free ends the loop; and since a block
        // of order 31 can have no buddy in range, no order ever exceeds the tables. The state
        // read is no left-over: a block that reaches over the buddy's first granule from before
        // it would be so large, and so aligned, that it would contain `block` too.
        loop {
            let buddy = block ^ (1 << order);
            if self.table.states.get(buddy as usize) != Some(&(FREE | order as u8)) {
                break;
            }
            self.remove(buddy, order);
            block &= buddy;
            order += 1;
        }
        self.insert(block, order);
    }

    /// Makes `block` the first in its order's list.
    fn insert(&mut self, block: u32, order: u32) {
        let head = core::mem::replace(&mut self.heads[order as usize], block);
        self.occupied |= 1 << order;
        self.table.states[block as usize] = FREE | order as u8;
        *self.link(block) = Link { next: head, previous: NIL };
        if head != NIL {
            self.link(head).previous = block;
        }
    }

    /// Takes `block` out of its order's list; its state is for the caller to set.
    fn remove(&mut self, block: u32, order: u32) {
        let Link { next, previous } = *self.link(block);
        if next != NIL {
            self.link(next).previous = previous;
        }
        if previous != NIL {
            self.link(previous).next = next;
        } else {
            self.heads[order as usize] = next;
            if next == NIL {
                self.occupied &= !(1 << order);
            }
        }
    }

    fn link(&mut self, block: u32) -> &mut Link {
        &mut self.table.links[(block >> 1) as usize]
    }
}
