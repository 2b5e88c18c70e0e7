//! The buddy allocator: which granules are free, over indices alone.
//!
//! A block of order `k` is `2^k` granules, the first at an index that is a multiple of `2^k`; its
//! buddy differs in bit `k` of the index. (Knowlton, "A fast storage allocator", CACM 8(10), 1965.)
//!
//! ```text
//!             allocate, split                  free              merge
//!   Free k+1 ----------------> Free k + Lent k -----> Kept k ----------> Free k+1
//!                                     or Own k  ^        |
//!                                               `--------'
//!                                         allocate, same order
//! ```
//!
//! A freed block is first of all *kept*: free, but in no list and not merged. Keeping a few of
//! them is what [magazines](crate::magazine) do. The one that is to be merged is *in hand*.
//!
//! Every operation is made of steps that split or merge over a bounded number of orders. Between
//! two steps everything is in order, so that others may come in between: what a step leaves
//! undone is in hand, where the next operation finds it.

use crate::Error;
use core::task::Poll;

#[cfg(test)]
mod tests;

/// No block: the end of a free list.
const NIL: u32 = u32::MAX;

/// Orders there are, as a table's length.
const ORDERS: usize = 32;

/// Orders that one step merges or splits at most: with what is around them, 200 instructions.
const MERGED: u32 = 3;
const SPLIT: u32 = 3;

/// The tags of a granule's state byte; the lower five bits are the order of the block that
/// begins there. Where none begins any more, the byte is left over and says that none is
/// allocated.
const TAG: u8 = 0b1110_0000;
const NONE: u8 = 0;
const FREE: u8 = 0b0010_0000;
const KEPT: u8 = 0b0100_0000;
/// The least of the two tags of allocated blocks.
const LENT: u8 = 0b0110_0000;
/// The only tag with the highest bit, so that eight states are searched at once.
const OWN: u8 = 0b1000_0000;

/// The state of the granule where a block of an order begins.
#[inline(always)]
fn state_of(tag: u8, order: u32) -> u8 {
    tag | order as u8
}

/// How an allocated block comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Its holder gives it back.
    Lent = LENT,
    /// The pool's owner gives it back, or [reclaiming](crate::Pool::reclaim) does.
    Own = OWN,
}

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
    /// A kept block on its way into the lists, or `NIL`.
    hand: u32,
}

impl<'t> Buddy<'t> {
    /// Orders there are; the largest block has `2^31` granules.
    pub const ORDERS: u32 = ORDERS as u32;
    /// The most granules one allocator can have.
    pub const MAX_GRANULES: usize = 1 << (Self::ORDERS - 1);

    /// An allocator of all the table's granules, all free. Their number need not be a power of
    /// two. Takes time in proportion to it.
    pub fn new(table: Table<'t>) -> Self {
        table.states.fill(NONE);
        let granules = table.states.len() as u32;
        let mut buddy = Self { table, ..Self::empty() };
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

    /// An allocator of nothing.
    pub(crate) const fn empty() -> Self {
        let table = Table { links: &mut [], states: &mut [] };
        Self { table, heads: [NIL; ORDERS], occupied: 0, hand: NIL }
    }

    /// Takes a block of `2^order` granules and returns its first.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when no free block is large enough, [`Error::TooLarge`] from
    /// [`Buddy::ORDERS`] up.
    pub fn allocate(&mut self, order: u32) -> Result<u32, Error> {
        loop {
            if let Poll::Ready(result) = self.allocate_step(order, Kind::Lent) {
                return result;
            }
        }
    }

    /// Gives the block that begins at `block` back and returns its order.
    ///
    /// # Errors
    /// [`Error::NotAllocated`], and nothing has changed, when no allocated block begins there.
    pub fn free(&mut self, block: u32) -> Result<u32, Error> {
        let kind = self.kind(block).ok_or(Error::NotAllocated)?;
        self.merge_all();
        let order = self.keep(block, kind)?;
        self.take_in_hand(block);
        self.merge_step();
        Ok(order)
    }

    /// The order of the largest free block. Merges the one in hand first.
    pub fn largest_free(&mut self) -> Option<u32> {
        self.merge_all();
        self.occupied.checked_ilog2()
    }

    /// One step towards a block of `2^order` granules.
    ///
    /// # Errors
    /// As for [`allocate`](Self::allocate); nothing is in hand then.
    pub(crate) fn allocate_step(&mut self, order: u32, kind: Kind) -> Poll<Result<u32, Error>> {
        // Before anything else: a larger order would spill into a state's tag.
        if order >= Self::ORDERS {
            return Poll::Ready(Err(Error::TooLarge));
        }
        let fitting = self.occupied & (u32::MAX << order);
        // None when that is 32.
        let listed = fitting.trailing_zeros();
        let (block, mut have) = match self.table.states.get(self.hand as usize) {
            // Also what is left of a block that steps before this one have split.
            Some(state) if (order..=listed).contains(&u32::from(*state & !TAG)) => {
                let have = u32::from(*state & !TAG);
                (core::mem::replace(&mut self.hand, NIL), have)
            }
            // What it merges to may be large enough; and what is split must find the hand empty.
            Some(_) if fitting == 0 || listed - order > SPLIT => {
                self.merge_step();
                return Poll::Pending;
            }
            None if fitting == 0 => return Poll::Ready(Err(Error::Exhausted)),
            _ => {
                let block = self.heads[(listed as usize) % ORDERS];
                self.remove(block, listed);
                (block, listed)
            }
        };
        let until = order.max(have.saturating_sub(SPLIT));
        // All lists from `order` up to what was found are empty.
        self.occupied |= (1_u32 << have) - (1 << until);
        while have > until {
            have -= 1;
            let upper = block + (1 << have);
            self.heads[have as usize % ORDERS] = upper;
            self.table.states[upper as usize] = state_of(FREE, have);
            *self.link(upper) = Link { next: NIL, previous: NIL };
        }
        if have > order {
            self.table.states[block as usize] = state_of(KEPT, have);
            self.hand = block;
            return Poll::Pending;
        }
        self.table.states[block as usize] = state_of(kind as u8, order);
        Poll::Ready(Ok(block))
    }

    /// One step of merging the block in hand, if there is one.
    pub(crate) fn merge_step(&mut self) {
        let mut block = self.hand;
        let Some(state) = self.table.states.get(block as usize) else { return };
        let mut order = u32::from(*state & !TAG);
        for _ in 0..MERGED {
            // A buddy past the end, of another order, or not free ends the merging; and since a
            // block of order 31 can have no buddy in range, no order ever exceeds the tables. The
            // state read is no left-over: a block that reaches over the buddy's first granule
            // from before it would be so large, and so aligned, that it would contain `block` too.
            let buddy = block ^ (1 << order);
            if self.table.states.get(buddy as usize) != Some(&state_of(FREE, order)) {
                self.hand = NIL;
                self.insert(block, order);
                return;
            }
            self.remove(buddy, order);
            block &= buddy;
            order += 1;
        }
        self.hand = block;
        self.table.states[block as usize] = state_of(KEPT, order);
    }

    /// Whether there is a free block of the order `least` or larger to be
    /// [allocated](Self::allocate_step), which leaves nothing in hand, and none from `order` up that is
    /// smaller.
    pub(crate) fn has_only_from(&self, order: u32, least: u32) -> bool {
        let listed = (self.occupied & (u32::MAX << order)).trailing_zeros();
        match self.table.states.get(self.hand as usize) {
            Some(state) => listed >= least && (least..=listed).contains(&u32::from(*state & !TAG)),
            None => (least..Self::ORDERS).contains(&listed),
        }
    }

    /// The block in hand, if it is of this order: it is not any more.
    pub(crate) fn take_from_hand(&mut self, order: u32) -> Option<u32> {
        let state = self.table.states.get(self.hand as usize)?;
        (*state & !TAG == order as u8).then(|| core::mem::replace(&mut self.hand, NIL))
    }

    /// Whether nothing is in hand.
    pub(crate) fn is_merged(&self) -> bool {
        self.hand == NIL
    }

    /// Puts a kept block into the empty hand, to be merged.
    pub(crate) fn take_in_hand(&mut self, block: u32) {
        debug_assert!(self.is_merged());
        self.hand = block;
    }

    /// Makes a kept block an allocated one again.
    #[inline(always)]
    pub(crate) fn hand_out(&mut self, block: u32, order: u32, kind: Kind) {
        self.table.states[block as usize] = state_of(kind as u8, order);
    }

    /// Makes an allocated block of a kind a kept one and returns its order.
    ///
    /// # Errors
    /// [`Error::NotAllocated`], and nothing has changed, when none of the kind begins there.
    pub(crate) fn keep(&mut self, block: u32, kind: Kind) -> Result<u32, Error> {
        let order = self.order_of(block, kind).ok_or(Error::NotAllocated)?;
        self.keep_at(block, order);
        Ok(order)
    }

    /// The same for one that is known to begin there, and its order.
    #[inline(always)]
    pub(crate) fn keep_at(&mut self, block: u32, order: u32) {
        self.table.states[block as usize] = state_of(KEPT, order);
    }

    /// The order of the allocated block of a kind that begins there.
    pub(crate) fn order_of(&self, block: u32, kind: Kind) -> Option<u32> {
        let order = u32::from(*self.table.states.get(block as usize)? ^ kind as u8);
        (order < Self::ORDERS).then_some(order)
    }

    /// Whether an allocated block of a kind and order begins there.
    #[inline(always)]
    pub(crate) fn is_allocated(&self, block: u32, order: u32, kind: Kind) -> bool {
        self.table.states.get(block as usize) == Some(&state_of(kind as u8, order))
    }

    /// Changes an allocated block's kind and returns its order.
    pub(crate) fn change_kind(&mut self, block: u32, from: Kind, into: Kind) -> Result<u32, Error> {
        let order = self.order_of(block, from).ok_or(Error::NotAllocated)?;
        self.hand_out(block, order, into);
        Ok(order)
    }

    /// The first own block among the `count` granules from `from` on, or else the granule up to
    /// which there is none; `None` at the end of the table.
    pub(crate) fn find_own(&self, from: u32, count: u32) -> Option<Result<u32, u32>> {
        let states = self.table.states.get(from as usize..).filter(|states| !states.is_empty())?;
        let states = &states[..states.len().min(count as usize)];
        let (words, rest) = states.as_chunks::<8>();
        let mut at = from;
        for word in words {
            let own = u64::from_le_bytes(*word) & u64::from_le_bytes([OWN; 8]);
            if own != 0 {
                return Some(Ok(at + own.trailing_zeros() / 8));
            }
            at += 8;
        }
        for state in rest {
            if *state & OWN != 0 {
                return Some(Ok(at));
            }
            at += 1;
        }
        Some(Err(at))
    }

    /// The kind of the allocated block that begins at `block`, if one does.
    fn kind(&self, block: u32) -> Option<Kind> {
        match *self.table.states.get(block as usize)? & TAG {
            LENT => Some(Kind::Lent),
            OWN => Some(Kind::Own),
            _ => None,
        }
    }

    /// Merges the block in hand, if there is one.
    fn merge_all(&mut self) {
        while !self.is_merged() {
            self.merge_step();
        }
    }

    /// Makes `block` the first in its order's list.
    fn insert(&mut self, block: u32, order: u32) {
        let head = core::mem::replace(&mut self.heads[order as usize % ORDERS], block);
        self.occupied |= 1 << order;
        self.table.states[block as usize] = state_of(FREE, order);
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
            self.heads[order as usize % ORDERS] = next;
            if next == NIL {
                self.occupied &= !(1 << order);
            }
        }
    }

    fn link(&mut self, block: u32) -> &mut Link {
        &mut self.table.links[(block >> 1) as usize]
    }
}
