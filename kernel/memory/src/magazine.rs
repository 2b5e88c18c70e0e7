//! Small blocks that were just freed, at hand for the next allocation.
//!
//! A program that takes and gives small blocks all the time would have the buddy allocator split
//! and merge for each. A *magazine* (Bonwick and Adams, "Magazines and Vmem", USENIX 2001) keeps
//! up to [`ROUNDS`] free blocks of one order unmerged, first in last out: taking one and giving
//! it back is a dozen instructions. What magazines hold is free memory like any other: nothing is
//! refused, and nothing said of the largest free block, before they have been emptied.

use crate::buddy::{Buddy, Kind};
use crate::{Error, Table};
use core::task::Poll;

#[cfg(test)]
mod tests;

/// Orders that have a magazine: blocks of 1, 2, 4 and 8 granules, which is what handlers and small
/// boxes take.
const ORDERS: usize = 4;

/// Blocks a magazine holds at most: their numbers take as many bytes as a cache line has.
pub(crate) const ROUNDS: usize = 16;

/// How many orders larger a block is that is cut for a magazine.
const CUT: u32 = 3;

const _: () = assert!(1 << CUT <= ROUNDS + 1);

struct Magazine {
    rounds: [u32; ROUNDS],
    length: usize,
}

impl Magazine {
    const EMPTY: Self = Self { rounds: [0; ROUNDS], length: 0 };
}

/// A buddy allocator with magazines before it. An operation that is not *quick* takes several
/// steps; others may come in between.
pub(crate) struct Blocks {
    magazines: [Magazine; ORDERS],
    buddy: Buddy<'static>,
}

impl Blocks {
    /// Of all the table's granules. Takes time in proportion to their number.
    pub(crate) fn new(table: Table<'static>) -> Self {
        Self { buddy: Buddy::new(table), ..Self::empty() }
    }

    /// Of nothing: no operation succeeds.
    pub(crate) const fn empty() -> Self {
        Self { magazines: [const { Magazine::EMPTY }; ORDERS], buddy: Buddy::empty() }
    }

    /// Whether a magazine has a block of the order.
    #[inline(always)]
    pub(crate) fn take_quick(&mut self, order: u32, kind: Kind) -> Option<u32> {
        let magazine = self.magazines.get_mut(order as usize)?;
        let length = magazine.length.checked_sub(1)?;
        let block = magazine.rounds[length % ROUNDS];
        magazine.length = length;
        self.buddy.hand_out(block, order, kind);
        Some(block)
    }

    /// One step towards a block of `2^order` granules. Where a larger block is to be split for it, eight
    /// are cut at once, of which the others go into their empty magazine: an owner that takes block
    /// after block splits for every eighth.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when there is none, [`Error::TooLarge`] when there cannot be.
    pub(crate) fn take_step(&mut self, order: u32, kind: Kind) -> Poll<Result<u32, Error>> {
        if let Some(magazine) = self.magazines.get_mut(order as usize)
            && magazine.length == 0
            && self.buddy.has_only_from(order, order + CUT)
        {
            match self.buddy.take_from_hand(order + CUT) {
                Some(block) => {
                    self.buddy.hand_out(block, order, kind);
                    // The first in comes out last, so that they follow each other.
                    for round in &mut magazine.rounds[..(1 << CUT) - 1] {
                        magazine.length += 1;
                        *round = block + (((1 << CUT) - magazine.length as u32) << order);
                        self.buddy.keep_at(*round, order);
                    }
                    return Poll::Ready(Ok(block));
                }
                None => {
                    if let Poll::Ready(Ok(block)) = self.buddy.allocate_step(order + CUT, kind) {
                        self.buddy.keep_at(block, order + CUT);
                        self.buddy.take_in_hand(block);
                    }
                    return Poll::Pending;
                }
            }
        }
        let step = self.buddy.allocate_step(order, kind);
        if step == Poll::Ready(Err(Error::Exhausted)) && self.empty_step() {
            return Poll::Pending;
        }
        step
    }

    /// Puts the block of the kind that begins at `block` into its order's magazine; false, and
    /// nothing has changed, if there is none of that order, or it is full.
    #[inline(always)]
    pub(crate) fn give_quick(&mut self, block: u32, order: u32, kind: Kind) -> bool {
        if !self.buddy.is_allocated(block, order, kind) {
            return false;
        }
        let Some(magazine) = self.magazines.get_mut(order as usize) else { return false };
        let Some(place) = magazine.rounds.get_mut(magazine.length) else { return false };
        *place = block;
        magazine.length += 1;
        self.buddy.keep_at(block, order);
        true
    }

    /// The order of the block of the kind that begins at `block`.
    pub(crate) fn order_of(&self, block: u32, kind: Kind) -> Option<u32> {
        self.buddy.order_of(block, kind)
    }

    /// One step towards merging the block of the kind that begins at `block`; when it is done,
    /// the block's order.
    ///
    /// # Errors
    /// [`Error::NotAllocated`], and nothing has changed, when there is no such block.
    pub(crate) fn give_step(&mut self, block: u32, kind: Kind) -> Poll<Result<u32, Error>> {
        if !self.buddy.is_merged() {
            self.buddy.merge_step();
            return Poll::Pending;
        }
        let order = self.buddy.keep(block, kind)?;
        self.buddy.take_in_hand(block);
        // The rest of it is for the next allocation that comes this way.
        self.buddy.merge_step();
        Poll::Ready(Ok(order))
    }

    /// Changes the kind of the block that begins at `block` and returns its order.
    ///
    /// # Errors
    /// [`Error::NotAllocated`] when none of the kind `from` begins there.
    pub(crate) fn change_kind(&mut self, block: u32, from: Kind, into: Kind) -> Result<u32, Error> {
        self.buddy.change_kind(block, from, into)
    }

    /// See [`Buddy::find_own`].
    pub(crate) fn find_own(&self, from: u32, count: u32) -> Option<Result<u32, u32>> {
        self.buddy.find_own(from, count)
    }

    /// One step towards the order of the largest free block.
    pub(crate) fn largest_step(&mut self) -> Poll<Option<u32>> {
        if !self.buddy.is_merged() {
            self.buddy.merge_step();
            return Poll::Pending;
        }
        if self.empty_step() { Poll::Pending } else { Poll::Ready(self.buddy.largest_free()) }
    }

    /// Takes a magazine's block in hand, which is empty; false when magazines are empty.
    fn empty_step(&mut self) -> bool {
        let Some(magazine) = self.magazines.iter_mut().rev().find(|at| at.length > 0) else {
            return false;
        };
        magazine.length -= 1;
        self.buddy.take_in_hand(magazine.rounds[magazine.length % ROUNDS]);
        true
    }
}
