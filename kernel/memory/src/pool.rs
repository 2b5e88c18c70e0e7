//! Pools: a region of memory, its blocks, and whether the owner or another holds each.
//!
//! # Fragmentation
//! *Within blocks*: a block is less than twice what was asked for, or one granule. Of sizes that
//! are spread evenly, a quarter of each block is lost.
//!
//! *Between blocks*: an owner that never holds more than `M` granules at once, in blocks of at most
//! `2^k`, is never refused by a pool of `(k + 1) (M + 240 + 2^k) + 2^(k + 1)`. There is no such
//! program but one that means to (`tests/fragmentation.rs` has one, the proof of the bound, and
//! figures): in random lives with blocks of 1 to 64 granules, of the granules that are free, a
//! tenth is in runs too short for the largest when the pool is half full, a quarter when it is
//! full to 75 %, half at 90 %, where one request in 250 is refused.

use crate::buddy::Kind;
use crate::magazine::Blocks;
use crate::returned::Returned;
use crate::scheme::{Headed, UNIT};
use crate::{Error, Exclusion, Lent, Link, Refused, Scheme, Table};
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::Poll;
use core::{fmt, mem, slice};

mod across;
mod granule;
mod state;
mod stats;

/// No owner.
const NOBODY: u32 = u32::MAX;

pub use granule::Granule;
pub use state::Cursor;
use state::{Claim, State};
pub use stats::{Content, PoolStats};

/// A region of memory that is handed out in blocks of a power of two of granules.
///
/// Blocks are aligned to their size as far as the region's first granule is. All operations
/// take bounded time, in exclusions of at most 200 instructions (a few more with a [`Scheme`]);
/// none but a scheme is foreign code in there.
///
/// A pool knows of each block whether it is *lent*, and comes back when its [`Lent`] is dropped, or
/// its owner's *own*, in a [`PoolBox`](crate::PoolBox), and comes back at the latest when the pool
/// is [reclaimed](Self::reclaim).
///
/// A pool is of one core, that it was made on. What was lent may come back on any: from another core it goes
/// onto a lock-free list, which the pool's own core works off when a request is not served at once. Everything else is refused
/// there.
pub struct Pool {
    exclusion: &'static dyn Exclusion,
    /// The core that the pool is of; `None` if no other one reaches it.
    core: Option<u32>,
    /// What came back on other cores.
    returned: Returned,
    /// The context that is told of what is refused, as the exclusion knows it.
    owner: AtomicU32,
    /// The first granule; derived from the region, so that it may reach all blocks.
    base: NonNull<u8>,
    /// The largest alignment that values can have; 0 when there may be none but bytes.
    alignment: usize,
    granules: usize,
    granule: Granule,
    /// The granule in bytes.
    smallest: usize,
    content: Content,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is only touched in `with`, inside the exclusion, which lets one flow of
// control in at a time and orders its memory accesses: those of other cores do not come there, as `enter` says;
// `returned` is of atomics, and the other fields never change. The
// memory behind `base` is reached through boxes, each of which owns its block.
unsafe impl Sync for Pool {}

// SAFETY: a pool has no tie to the thread that made it: the exclusion is `Sync`, the region
// is the pool's own, and a scheme is `Send`.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool over `region`, which also holds its bookkeeping: 5 bytes a granule, behind the
    /// last one. With [`Content::Bytes`] the region is zeroed here. Laying out the bookkeeping
    /// takes time in proportion to the granules, outside of the exclusion.
    ///
    /// # Safety
    /// For as long as the program runs, `region` is valid for reads and writes and nothing but
    /// this pool and what it hands out uses it.
    ///
    /// # Errors
    /// [`Error::RegionTooSmall`], [`Error::RegionTooLarge`].
    pub unsafe fn new(
        region: NonNull<[u8]>,
        granule: Granule,
        content: Content,
        exclusion: &'static dyn Exclusion,
    ) -> Result<Self, Error> {
        let start = region.cast::<u8>();
        let skipped = start.align_offset(granule.bytes());
        let room = region.len().checked_sub(skipped).ok_or(Error::RegionTooSmall)?;
        let granules = granules_in(room, granule);
        if granules == 0 {
            return Err(Error::RegionTooSmall);
        }
        let links = Table::links_for(granules);
        // SAFETY: `skipped` is at most the region's length.
        let base = unsafe { start.add(skipped) };
        // SAFETY: `granules_in` leaves room for the granules and the table behind them.
        let table = unsafe { base.add(granules << granule.shift) };
        let table_bytes = links * size_of::<Link>() + granules;
        if content == Content::Bytes {
            // SAFETY: the granules are in the region, which is the caller's to give.
            unsafe { base.write_bytes(0, granules << granule.shift) };
        }
        // SAFETY: the table's bytes are in the region, behind the granules, and nothing but the
        // pool uses them, says the caller, for good; the two slices are apart. Zero bytes are valid
        // links and states.
        let (links, states) = unsafe {
            table.write_bytes(0, table_bytes);
            let behind = table.add(links * size_of::<Link>());
            (
                // Aligned: the table begins at a multiple of the granule, at least 16.
                slice::from_raw_parts_mut(table.cast::<Link>().as_ptr(), links),
                slice::from_raw_parts_mut(behind.as_ptr(), granules),
            )
        };
        let blocks = Blocks::new(Table::new(links, states)?);
        let alignment = match content {
            Content::Bytes => 0,
            Content::Objects => 1 << base.addr().trailing_zeros(),
        };
        let state = UnsafeCell::new(State::new(granule, granules, blocks, None));
        let smallest = granule.bytes();
        let owner = AtomicU32::new(NOBODY);
        let (core, returned) = (exclusion.core(), Returned::new());
        Ok(Self {
            exclusion,
            core,
            returned,
            owner,
            base,
            alignment,
            granules,
            granule,
            smallest,
            content,
            state,
        })
    }

    /// A pool of [`Content::Objects`] in which a scheme of the owner's finds the blocks. It is
    /// counted in granules of 16 bytes.
    ///
    /// # Errors
    /// [`Error::RegionTooSmall`], [`Error::RegionTooLarge`], and [`Error::Alignment`] when the
    /// scheme's region does not begin at a multiple of 16.
    pub fn with_scheme(
        scheme: &'static mut dyn Scheme,
        exclusion: &'static dyn Exclusion,
    ) -> Result<Self, Error> {
        const GRANULE: Granule = Granule { shift: UNIT.trailing_zeros() };
        let (region, scheme) = Headed::new(scheme)?;
        let granules = region.len() / UNIT;
        let state = State::new(GRANULE, granules, Blocks::empty(), Some(scheme));
        Ok(Self {
            exclusion,
            core: exclusion.core(),
            returned: Returned::new(),
            owner: AtomicU32::new(NOBODY),
            base: region.cast(),
            alignment: usize::MAX,
            granules,
            granule: GRANULE,
            smallest: UNIT,
            content: Content::Objects,
            state: UnsafeCell::new(state),
        })
    }

    /// Moves `value` into the pool.
    ///
    /// # Errors
    /// The value, with [`Error::Exhausted`], [`Error::TooLarge`], [`Error::Alignment`], [`Error::OtherCore`], or
    /// [`Error::BytesOnly`] in a pool of [`Content::Bytes`].
    pub fn alloc<T: 'static>(&'static self, value: T) -> Result<Lent<T>, Refused<T>> {
        let value = self.put(value, Self::take_lent)?;
        // SAFETY: `put` has put it into a lent block of its own.
        Ok(unsafe { Lent::from_raw(value, self) })
    }

    /// Like [`alloc`](Self::alloc), and may take what is [reserved](Self::reserve).
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_reserved<T: 'static>(&'static self, value: T) -> Result<Lent<T>, Refused<T>> {
        let value = self.put(value, Self::take_reserved)?;
        // SAFETY: `put` has put it into a lent block of its own.
        Ok(unsafe { Lent::from_raw(value, self) })
    }

    /// `len` bytes: zeroes from a pool of [`Content::Objects`]; from one of
    /// [`Content::Bytes`], initialised bytes of which nothing more is known.
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::TooLarge`], [`Error::OtherCore`].
    pub fn bytes(&'static self, len: usize) -> Result<Lent<[u8]>, Error> {
        let bytes = self.lay_out(len, Self::take_lent)?;
        // SAFETY: `lay_out` has put them into a lent block of their own.
        Ok(unsafe { Lent::from_raw(bytes, self) })
    }

    /// `len` values, each made by `make`. Should that panic the block stays taken.
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn slice<T: 'static>(
        &'static self,
        len: usize,
        mut make: impl FnMut() -> T,
    ) -> Result<Lent<[T]>, Error> {
        let layout = Layout::array::<T>(len).map_err(|_| Error::TooLarge)?;
        if layout.align() > self.alignment {
            return Err(self.misfit());
        }
        let block = self.take_lent(layout)?.cast::<T>();
        for at in 0..len {
            // SAFETY: the block has room for `len` of them, is aligned as `put` says, and nothing else uses it.
            unsafe { block.add(at).write(make()) };
        }
        // SAFETY: all of them are in a lent block of their own.
        Ok(unsafe { Lent::from_raw(NonNull::slice_from_raw_parts(block, len), self) })
    }

    /// Sets `bytes` more aside: ordinary allocations are refused when less than all that was
    /// set aside would stay free. At least one granule stays to be had by
    /// [`alloc_reserved`](Self::alloc_reserved) for each that was set aside.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when less than that is free already; [`Error::OtherCore`].
    pub fn reserve(&self, bytes: usize) -> Result<(), Error> {
        if self.is_elsewhere() {
            return Err(Error::OtherCore);
        }
        self.collect();
        self.with(|state| state.reserve(bytes))
    }

    /// Ends what [`reserve`](Self::reserve) set aside; on another core nothing changes.
    pub fn unreserve(&self, bytes: usize) {
        if !self.is_elsewhere() {
            self.with(|state| state.unreserve(bytes));
        }
    }

    /// Bytes that are free and not reserved, in blocks of whatever size; one short exclusion, so
    /// it can be asked for at every allocation. None are to be had by another core.
    pub fn available(&self) -> usize {
        if self.is_elsewhere() {
            return 0;
        }
        self.collect();
        self.with(|state| state.available())
    }

    /// Takes own blocks back, whatever is in them: their values are not dropped. Each call does a
    /// bounded piece of the work and returns where the next one goes on; the first begins at
    /// `Cursor::default()`, and after the last, which returns `None`, there is no own block.
    /// Lent blocks stay taken, and may be dropped meanwhile.
    ///
    /// # Safety
    /// This is called on the pool's core. From the first of these calls on, none of the code that ever had an [`Own`](crate::Own)
    /// of this pool goes on, and nothing uses what it had in its [`PoolBox`](crate::PoolBox)es and in the
    /// collections that it had by a [`PoolAllocator`](crate::PoolAllocator): nothing else has a reference into one
    /// that was leaked.
    pub unsafe fn reclaim(&self, from: Cursor) -> Option<Cursor> {
        // SAFETY: own blocks are in `PoolBox`es only, and by the caller's promise nothing uses what
        // is in these.
        self.with(|state| unsafe { state.reclaim_step(from) })
    }

    /// From now on the exclusion is [told](Exclusion::refused) of each allocation that is refused
    /// for want of room, under this number, which is not the highest there is.
    pub fn set_owner(&self, owner: u32) {
        self.owner.store(owner, Relaxed);
    }

    /// That number, once there is one.
    pub fn owner(&self) -> Option<u32> {
        Some(self.owner.load(Relaxed)).filter(|owner| *owner != NOBODY)
    }

    /// Whether `address` is in memory that this pool hands out.
    pub fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.base.addr().get()) < self.capacity()
    }

    /// The addresses of the memory that this pool hands out.
    pub fn region(&self) -> Range<usize> {
        let start = self.base.addr().get();
        start..start + self.capacity()
    }

    /// The smallest amount handed out.
    pub fn granule(&self) -> Granule {
        self.granule
    }

    /// What was counted. Magazines are emptied first, to see the largest free block: look at
    /// [`available`](Self::available) where that matters. Another core sees the capacity and nothing else.
    pub fn stats(&self) -> PoolStats {
        if self.is_elsewhere() {
            return self.stats_elsewhere();
        }
        self.collect();
        loop {
            if let Poll::Ready(stats) = self.with(State::stats_step) {
                return stats;
            }
        }
    }

    fn capacity(&self) -> usize {
        self.granules << self.granule.shift
    }

    /// Moves a value into a block that `take` finds for it.
    #[inline(always)]
    pub(crate) fn put<T>(
        &'static self,
        value: T,
        take: impl FnOnce(&'static Self, Layout) -> Result<NonNull<u8>, Error>,
    ) -> Result<NonNull<T>, Refused<T>> {
        let taken = if align_of::<T>() > self.alignment {
            // No failure of the pool: it could never have been.
            Err(self.misfit())
        } else {
            take(self, Layout::new::<T>())
        };
        match taken {
            Ok(block) => {
                let block = block.cast::<T>();
                // SAFETY: the block is as large as the type. A buddy's begins at a multiple of
                // its own size past a base that is aligned for the type, so it is aligned too;
                // a scheme's is aligned as asked for. It is ours.
                unsafe { block.write(value) };
                Ok(block)
            }
            Err(error) => Err(Refused { error, value }),
        }
    }

    /// Initialised bytes in a block that `take` finds for them.
    #[inline(always)]
    pub(crate) fn lay_out(
        &'static self,
        len: usize,
        take: impl FnOnce(&'static Self, Layout) -> Result<NonNull<u8>, Error>,
    ) -> Result<NonNull<[u8]>, Error> {
        let Ok(layout) = Layout::from_size_align(len, 1) else {
            if self.is_elsewhere() {
                return Err(Error::OtherCore);
            }
            self.with(State::count_failure);
            self.refuse(len);
            return Err(Error::TooLarge);
        };
        let block = take(self, layout)?;
        if self.content == Content::Objects {
            // SAFETY: the block has at least `len` bytes and is not in use elsewhere. Otherwise
            // they were zeroed with the whole pool and since then only ever handed out as
            // bytes, which cannot become uninitialised.
            unsafe { block.write_bytes(0, len) };
        }
        Ok(NonNull::slice_from_raw_parts(block, len))
    }

    /// Takes a block that its holder gives back.
    #[inline(always)]
    fn take_lent(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        if self.is_elsewhere() {
            return Err(Error::OtherCore);
        }
        match self.lend_quickly(layout.size().max(layout.align())) {
            Some(block) => Ok(block),
            None => self.take_slowly(layout, Claim::Ordinary, Kind::Lent),
        }
    }

    /// Takes such a block, also from the reserve.
    fn take_reserved(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        if self.is_elsewhere() {
            return Err(Error::OtherCore);
        }
        self.take_slowly(layout, Claim::Reserved, Kind::Lent)
    }

    /// Takes a block of the owner's own.
    #[inline(always)]
    pub(crate) fn take_own(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        match self.own_quickly(layout.size().max(layout.align())) {
            Some(block) => Ok(block),
            None => self.take_slowly(layout, Claim::Ordinary, Kind::Own),
        }
    }

    /// Takes a block of the owner's own, where what it is for may ask for any alignment.
    #[inline(always)]
    pub(crate) fn take_own_aligned(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        if layout.align() > self.alignment {
            return Err(self.misfit());
        }
        self.take_own(layout)
    }

    /// Whether a block that was taken for one of two layouts would have been as large for the other.
    pub(crate) fn share_block(&self, one: Layout, other: Layout) -> bool {
        let order = |layout: Layout| self.granule.order_for(layout.size().max(layout.align()));
        // A scheme has blocks of other sizes.
        self.alignment != usize::MAX && order(one) == order(other)
    }

    /// Takes a block of the owner's own, also from the reserve.
    pub(crate) fn take_own_reserved(&self, layout: Layout) -> Result<NonNull<u8>, Error> {
        self.take_slowly(layout, Claim::Reserved, Kind::Own)
    }

    #[inline(never)]
    fn lend_quickly(&self, bytes: usize) -> Option<NonNull<u8>> {
        self.take_quickly(bytes, Kind::Lent)
    }

    #[inline(never)]
    fn own_quickly(&self, bytes: usize) -> Option<NonNull<u8>> {
        self.take_quickly(bytes, Kind::Own)
    }

    /// A block from a magazine, if one is there.
    #[inline(always)]
    fn take_quickly(&self, bytes: usize, kind: Kind) -> Option<NonNull<u8>> {
        // Most are of one granule: the same with constants.
        let place = if bytes <= self.smallest {
            self.with(|state| state.take_quick(0, kind))?
        } else {
            let order = self.granule.order_for(bytes);
            self.with(|state| state.take_quick(order, kind))?
        };
        // SAFETY: a block's granules lie in the region, from `base` on.
        Some(unsafe { self.base.add(place) })
    }

    /// Takes a block, step by step.
    #[cold]
    #[inline(never)]
    fn take_slowly(&self, layout: Layout, claim: Claim, kind: Kind) -> Result<NonNull<u8>, Error> {
        self.collect();
        let order = self.granule.order_for(layout.size().max(layout.align()));
        loop {
            let step = self.with(|state| state.take_step(layout, order, claim, kind));
            if let Poll::Ready(taken) = step {
                if taken.is_err() {
                    self.refuse(layout.size());
                }
                // SAFETY: a block's granules lie in the region, from `base` on; so does a place
                // that a scheme has found.
                return taken.map(|place| unsafe { self.base.add(place) });
            }
        }
    }

    /// Tells the owner of a refusal.
    #[cold]
    fn refuse(&self, bytes: usize) {
        let owner = self.owner.load(Relaxed);
        if owner != NOBODY {
            self.exclusion.refused(owner, self, bytes);
        }
    }

    /// Takes a lent block back.
    ///
    /// # Safety
    /// Nothing uses the block that begins at `block`, an address this pool handed out, any more.
    #[inline(never)]
    pub(crate) unsafe fn release_lent(&self, block: NonNull<u8>) {
        if self.is_elsewhere() {
            // SAFETY: nothing uses the lent block any more, says the caller.
            return unsafe { self.give_across(block.addr().get() - self.base.addr().get()) };
        }
        // SAFETY: this pool handed the block out and nothing uses it any more: what both ask for.
        unsafe { self.release(block, Kind::Lent) }
    }

    /// Takes one of the owner's own blocks back: on the pool's core, which it never leaves.
    ///
    /// # Safety
    /// Nothing uses the block that begins at `block`, an address this pool handed out, any more.
    #[inline(never)]
    pub(crate) unsafe fn release_own(&self, block: NonNull<u8>) {
        // SAFETY: this pool handed the block out and nothing uses it any more: what both ask for.
        unsafe { self.release(block, Kind::Own) }
    }

    /// # Safety
    /// As for both callers.
    #[inline(always)]
    unsafe fn release(&self, block: NonNull<u8>, kind: Kind) {
        let place = block.addr().get() - self.base.addr().get();
        if !self.with(|state| state.give_quick(place, kind)) {
            // SAFETY: the place is that of the block which, says the caller, nothing uses. No
            // magazine has taken it, so that it is still to be given.
            unsafe { self.release_slowly(place, kind) };
        }
    }

    /// # Safety
    /// As for [`release`](Self::release), with the block's place.
    #[cold]
    #[inline(never)]
    unsafe fn release_slowly(&self, place: usize, kind: Kind) {
        // SAFETY: nobody uses the block any more, says the caller. It is taken until the last step,
        // so that nobody else can get it in between.
        let step = |state: &mut State| unsafe { state.give_step(place, kind) };
        loop {
            if let Poll::Ready(given) = self.with(step) {
                // By the boxes' invariant this cannot fail; should it, nothing was changed.
                debug_assert_eq!(given, Ok(()));
                return;
            }
        }
    }

    /// Changes the kind of the block at `block`, which is `from` by the boxes' invariant.
    pub(crate) fn change_kind(&self, block: NonNull<u8>, from: Kind, into: Kind) {
        let place = block.addr().get() - self.base.addr().get();
        let changed = self.with(|state| state.change_kind(place, from, into));
        debug_assert_eq!(changed, Ok(()));
    }

    /// Why a type's alignment is not to be had.
    #[cold]
    fn misfit(&self) -> Error {
        match self.content {
            Content::Bytes => Error::BytesOnly,
            Content::Objects => Error::Alignment,
        }
    }

    /// Runs `work` inside the exclusion. It must not enter the pool again.
    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.exclusion.enter();
        // SAFETY: no other flow of control is between `enter` and `leave`, and this one is
        // here only once: the closures are all in this file and call neither `with` nor foreign
        // code, but for a scheme, which keeps out of pools.
        let result = work(unsafe { &mut *self.state.get() });
        self.exclusion.leave();
        result
    }
}

/// How many granules fit into `room` bytes together with their part of the table.
fn granules_in(room: usize, granule: Granule) -> usize {
    let fits = |granules: usize| {
        let table = Table::links_for(granules) * mem::size_of::<Link>() + granules;
        (granules << granule.shift) + table <= room
    };
    // At 5 bytes of table a granule, but for an odd last one, which takes a whole link.
    let granules = room / (granule.bytes() + 5);
    if fits(granules) { granules } else { granules.saturating_sub(1) }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("region", &self.region()).finish_non_exhaustive()
    }
}
