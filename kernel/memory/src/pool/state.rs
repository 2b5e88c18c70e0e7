//! What a pool's exclusion guards: how much is taken, and in which kinds of blocks.

use super::{Granule, PoolStats};
use crate::Error;
use crate::buddy::Kind;
use crate::magazine::Blocks;
use crate::returned::Returned;
use crate::scheme::Headed;
use core::alloc::Layout;
use core::task::{Poll, ready};

/// Granules that one step of reclaiming looks at, eight at once: a step stays below 200 instructions.
const LOOKED_AT: u32 = 64;

/// Where the next [`Pool::reclaim`](crate::Pool::reclaim) goes on; the default is the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor(u32);

/// Whether an allocation may take what is reserved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Ordinary,
    Reserved,
}

/// Places are bytes from the pool's base, amounts are granules.
pub(super) struct State {
    blocks: Blocks,
    shift: u32,
    granules: usize,
    free: usize,
    /// The least that ever was free.
    least: usize,
    /// What of it ordinary allocations leave.
    withheld: usize,
    /// What that is in bytes, as it was asked for.
    reserved: usize,
    /// Blocks allocated.
    count: usize,
    /// Own granules and blocks among those allocated.
    own: usize,
    own_count: usize,
    failures: u64,
    /// What is left of a list of blocks that came back on other cores: the first one's place, plus 1.
    left: u64,
    /// Serves instead of `blocks`, which is empty then.
    scheme: Option<Headed>,
}

impl State {
    /// Nothing is allocated.
    pub(super) const fn new(
        granule: Granule,
        granules: usize,
        blocks: Blocks,
        scheme: Option<Headed>,
    ) -> Self {
        Self {
            blocks,
            shift: granule.shift,
            granules,
            free: granules,
            least: granules,
            withheld: 0,
            reserved: 0,
            count: 0,
            own: 0,
            own_count: 0,
            failures: 0,
            left: 0,
            scheme,
        }
    }

    /// A block of `2^order` granules, if a magazine has one and the reserve is not touched.
    #[inline(always)]
    pub(super) fn take_quick(&mut self, order: u32, kind: Kind) -> Option<usize> {
        let left = self.free.wrapping_sub(1 << (order % usize::BITS));
        // Neither is anywhere near the sign bit.
        if (left as isize) < self.withheld as isize {
            return None;
        }
        let block = self.blocks.take_quick(order, kind)?;
        self.taken(1 << (order % usize::BITS), kind);
        Some((block as usize) << self.shift)
    }

    /// One step towards a block, of `2^order` granules unless a scheme serves.
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::TooLarge`].
    pub(super) fn take_step(
        &mut self,
        layout: Layout,
        order: u32,
        claim: Claim,
        kind: Kind,
    ) -> Poll<Result<usize, Error>> {
        let granules = match &self.scheme {
            Some(_) => Headed::granules_for(layout),
            // A granule has 16 bytes at least, so that no order has as many as a word has bits.
            None => 1 << order,
        };
        let withheld = if claim == Claim::Reserved { 0 } else { self.withheld };
        let taken = if granules > self.granules {
            Err(Error::TooLarge)
        } else if self.free < granules + withheld {
            Err(Error::Exhausted)
        } else if let Some(scheme) = &mut self.scheme {
            scheme.take(layout, kind)
        } else if let Some(block) = self.blocks.take_quick(order, kind) {
            Ok((block as usize) << self.shift)
        } else {
            ready!(self.blocks.take_step(order, kind)).map(|block| (block as usize) << self.shift)
        };
        match taken {
            Ok(_) => self.taken(granules, kind),
            Err(_) => self.failures += 1,
        }
        Poll::Ready(taken)
    }

    /// Puts the block at `place` into a magazine, if there is one for it and room in it.
    #[inline(always)]
    pub(super) fn give_quick(&mut self, place: usize, kind: Kind) -> bool {
        let block = (place >> self.shift) as u32;
        // Most are of one granule.
        if self.blocks.give_quick(block, 0, kind) {
            self.given(1, kind);
            return true;
        }
        self.give_larger(block, kind)
    }

    #[inline(never)]
    fn give_larger(&mut self, block: u32, kind: Kind) -> bool {
        match self.blocks.order_of(block, kind) {
            Some(order) if self.blocks.give_quick(block, order, kind) => {
                self.given(1 << order, kind);
                true
            }
            _ => false,
        }
    }

    /// One step towards having the block at `place` back.
    ///
    /// # Safety
    /// Nobody uses the block any more.
    ///
    /// # Errors
    /// [`Error::NotAllocated`]: there is no block of the kind.
    pub(super) unsafe fn give_step(&mut self, place: usize, kind: Kind) -> Poll<Result<(), Error>> {
        let granules = match &mut self.scheme {
            // SAFETY: the place is a block's, which a scheme's pool got from `take`, and nobody
            // uses the value any more, says the caller.
            Some(scheme) => unsafe { scheme.give(place, kind)? },
            None => 1 << ready!(self.blocks.give_step((place >> self.shift) as u32, kind))?,
        };
        self.given(granules, kind);
        Poll::Ready(Ok(()))
    }

    /// One step towards having the blocks on a list, with links that `link` tells: none for a place where there is no
    /// block. False when all are here.
    ///
    /// # Safety
    /// What is on the list was lent, and nobody uses it any more.
    pub(super) unsafe fn collect_step(
        &mut self,
        returned: &Returned,
        link: impl Fn(usize) -> Option<u64>,
    ) -> bool {
        if self.left == 0 {
            self.left = returned.take();
        }
        let Some(place) = self.left.checked_sub(1).map(|place| place as usize) else {
            return false;
        };
        let Some(next) = link(place) else {
            self.left = 0;
            return true;
        };
        if self.give_quick(place, Kind::Lent) {
            self.left = next;
        // SAFETY: nobody uses the block, says the caller. Should it take another step, it is still the first.
        } else if let Poll::Ready(given) = unsafe { self.give_step(place, Kind::Lent) } {
            debug_assert_eq!(given, Ok(()));
            self.left = if given.is_ok() { next } else { 0 };
        }
        true
    }

    /// Changes the kind of the block at `place`.
    ///
    /// # Errors
    /// [`Error::NotAllocated`]: there is no block of the kind `from`.
    pub(super) fn change_kind(
        &mut self,
        place: usize,
        from: Kind,
        into: Kind,
    ) -> Result<(), Error> {
        let granules = match &mut self.scheme {
            Some(scheme) => scheme.change_kind(place, from, into)?,
            None => 1 << self.blocks.change_kind((place >> self.shift) as u32, from, into)?,
        };
        if from == into {
            return Ok(());
        }
        match into {
            Kind::Own => (self.own, self.own_count) = (self.own + granules, self.own_count + 1),
            Kind::Lent => (self.own, self.own_count) = (self.own - granules, self.own_count - 1),
        }
        Ok(())
    }

    /// Takes the own block at `from` back; where there is none, looks for the next one among a
    /// fixed number of granules.
    ///
    /// # Safety
    /// Nobody uses own blocks any more.
    pub(super) unsafe fn reclaim_step(&mut self, from: Cursor) -> Option<Cursor> {
        if let Some(scheme) = &mut self.scheme {
            // SAFETY: nobody uses own blocks any more, says the caller.
            let granules = unsafe { scheme.reclaim()? };
            self.given(granules, Kind::Own);
            return Some(from);
        }
        if self.blocks.order_of(from.0, Kind::Own).is_none() {
            let (Ok(next) | Err(next)) = self.blocks.find_own(from.0, LOOKED_AT)?;
            return Some(Cursor(next));
        }
        // SAFETY: an own block begins there, as was just seen, and nobody uses own blocks any more,
        // says the caller. Should it take another step, the block is there still.
        let _again_or_done = unsafe { self.give_step((from.0 as usize) << self.shift, Kind::Own) };
        Some(from)
    }

    /// Sets `bytes` more aside.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when less than that is free.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        let reserved = self.reserved.checked_add(bytes).ok_or(Error::Exhausted)?;
        if reserved > self.free << self.shift {
            return Err(Error::Exhausted);
        }
        self.set_reserved(reserved);
        Ok(())
    }

    /// Ends what was set aside.
    pub(super) fn unreserve(&mut self, bytes: usize) {
        self.set_reserved(self.reserved.saturating_sub(bytes));
    }

    /// Counts a request that was refused before it came here.
    pub(super) fn count_failure(&mut self) {
        self.failures += 1;
    }

    /// Bytes that ordinary allocations may take.
    pub(super) fn available(&self) -> usize {
        self.free.saturating_sub(self.withheld) << self.shift
    }

    /// One step towards what was counted.
    pub(super) fn stats_step(&mut self) -> Poll<PoolStats> {
        let largest_free = match &self.scheme {
            Some(scheme) => scheme.largest_free(),
            None => ready!(self.blocks.largest_step()).map_or(0, |order| 1 << (self.shift + order)),
        };
        let allocated = self.granules - self.free;
        Poll::Ready(PoolStats {
            capacity: self.granules << self.shift,
            allocated: allocated << self.shift,
            peak: (self.granules - self.least) << self.shift,
            reserved: self.reserved,
            largest_free,
            blocks: self.count,
            lent: (allocated - self.own) << self.shift,
            lent_blocks: self.count - self.own_count,
            failures: self.failures,
        })
    }

    #[inline(always)]
    fn taken(&mut self, granules: usize, kind: Kind) {
        self.free -= granules;
        if self.free < self.least {
            self.least = self.free;
        }
        self.count += 1;
        if kind == Kind::Own {
            self.own += granules;
            self.own_count += 1;
        }
    }

    #[inline(always)]
    fn given(&mut self, granules: usize, kind: Kind) {
        self.free += granules;
        self.count -= 1;
        if kind == Kind::Own {
            self.own -= granules;
            self.own_count -= 1;
        }
    }

    /// Sets aside `bytes`, which is no more than there is.
    fn set_reserved(&mut self, bytes: usize) {
        self.reserved = bytes;
        self.withheld = bytes.div_ceil(1 << self.shift);
    }
}
