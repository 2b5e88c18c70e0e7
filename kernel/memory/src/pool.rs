//! Pools: a region of memory, who holds which part of it, and how much.

use crate::{Buddy, Error, Exclusion, Link, PoolBox, Refused, Table};
use core::cell::UnsafeCell;
use core::ops::Range;
use core::ptr::NonNull;
use core::{fmt, mem, slice};

/// The smallest amount a pool hands out: a power of two of bytes, at least 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granule {
    shift: u32,
}

impl Granule {
    /// A granule of `bytes` bytes; `None` unless that is a power of two from 16 up.
    pub const fn new(bytes: usize) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= 16 {
            Some(Self { shift: bytes.trailing_zeros() })
        } else {
            None
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        1 << self.shift
    }

    /// The order of the smallest block that holds `bytes` bytes.
    const fn order_for(self, bytes: usize) -> u32 {
        usize::BITS - (bytes.saturating_sub(1) >> self.shift).leading_zeros()
    }
}

/// What a pool is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Values of any type, and bytes that are zeroed when they are taken.
    Objects,
    /// Bytes only, zeroed once when the pool is made: what is taken later holds whatever the
    /// last owner left there. For buffers that are written before they are read, such as
    /// frames.
    Bytes,
}

/// What a pool has counted, in bytes where no unit is named. Allocated bytes are those of
/// whole blocks: a request counts as the power of two of granules that serves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// All there is to allocate; the pool's own bookkeeping is not in it.
    pub capacity: usize,
    /// Allocated now.
    pub allocated: usize,
    /// The most that ever was allocated at once.
    pub peak: usize,
    /// Held back for [`Pool::alloc_reserved`].
    pub reserved: usize,
    /// The largest request that can be served now, were nothing reserved.
    pub largest_free: usize,
    /// Number of blocks allocated now.
    pub blocks: usize,
    /// Number of allocations that were refused.
    pub failures: u64,
}

/// Whether an allocation may take what is reserved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Ordinary,
    Reserved,
}

/// What the exclusion guards. Amounts are in granules: fewer shifts on the hot path.
struct State {
    buddy: Buddy<'static>,
    granules: usize,
    allocated: usize,
    peak: usize,
    /// The most that ordinary allocations may bring `allocated` to.
    ceiling: usize,
    /// What lowers the ceiling, in bytes, as it was asked for.
    reserved: usize,
    blocks: usize,
    failures: u64,
}

/// A region of memory that is handed out in blocks of a power of two of granules.
///
/// Blocks are aligned to their size as far as the region's first granule is. All operations
/// take bounded time; none calls foreign code inside the exclusion.
pub struct Pool {
    /// The first granule; derived from the region, so that it may reach all blocks.
    base: NonNull<u8>,
    granules: usize,
    granule: Granule,
    content: Content,
    exclusion: &'static dyn Exclusion,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is only touched in `with`, inside the exclusion, which lets one flow of
// control in at a time and orders its memory accesses; the other fields never change. The
// memory behind `base` is reached through boxes, each of which owns its block.
unsafe impl Sync for Pool {}

// SAFETY: a pool has no tie to the thread that made it: the exclusion is `Sync`, the region
// is the pool's own.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool over `region`, which also holds its bookkeeping: 5 bytes a granule, behind the
    /// last one. With [`Content::Bytes`] the region is zeroed here.
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
        // SAFETY: as above, for the table; zero bytes are valid links and states.
        let (links, states) = unsafe {
            table.write_bytes(0, table_bytes);
            let behind = table.add(links * size_of::<Link>());
            (
                // Aligned: the table begins at a multiple of the granule, at least 16.
                slice::from_raw_parts_mut(table.cast::<Link>().as_ptr(), links),
                slice::from_raw_parts_mut(behind.as_ptr(), granules),
            )
        };
        let state = State {
            buddy: Buddy::new(Table::new(links, states)?),
            granules,
            allocated: 0,
            peak: 0,
            ceiling: granules,
            reserved: 0,
            blocks: 0,
            failures: 0,
        };
        let state = UnsafeCell::new(state);
        Ok(Self { base, granules, granule, content, exclusion, state })
    }

    /// Moves `value` into the pool.
    ///
    /// # Errors
    /// The value, with [`Error::Exhausted`], [`Error::TooLarge`], [`Error::Alignment`], or
    /// [`Error::BytesOnly`] in a pool of [`Content::Bytes`].
    pub fn alloc<T: 'static>(&'static self, value: T) -> Result<PoolBox<T>, Refused<T>> {
        self.put(value, Claim::Ordinary)
    }

    /// Like [`alloc`](Self::alloc), and may take what is [reserved](Self::reserve).
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_reserved<T: 'static>(&'static self, value: T) -> Result<PoolBox<T>, Refused<T>> {
        self.put(value, Claim::Reserved)
    }

    /// `len` bytes: zeroes from a pool of [`Content::Objects`]; from one of
    /// [`Content::Bytes`], initialised bytes of which nothing more is known.
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::TooLarge`].
    pub fn bytes(&'static self, len: usize) -> Result<PoolBox<[u8]>, Error> {
        let block = self.take(len, Claim::Ordinary)?;
        if self.content == Content::Objects {
            // SAFETY: the block has at least `len` bytes and is not in use elsewhere.
            unsafe { block.write_bytes(0, len) };
        }
        // SAFETY: the block is ours and large enough; bytes need no alignment. They are
        // initialised: zeroed just now, or zeroed with the whole pool and since then only
        // ever lent out as bytes, which cannot become uninitialised.
        Ok(unsafe { PoolBox::from_raw(NonNull::slice_from_raw_parts(block, len), self) })
    }

    /// Sets `bytes` more aside: ordinary allocations are refused when less than all that was
    /// set aside would stay free. At least one granule stays to be had by
    /// [`alloc_reserved`](Self::alloc_reserved) for each that was set aside.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when less than that is free already.
    pub fn reserve(&self, bytes: usize) -> Result<(), Error> {
        self.with(|state| {
            let reserved = state.reserved.checked_add(bytes).ok_or(Error::Exhausted)?;
            if reserved > (state.granules - state.allocated) << self.granule.shift {
                return Err(Error::Exhausted);
            }
            state.set_reserved(reserved, self.granule);
            Ok(())
        })
    }

    /// Ends what [`reserve`](Self::reserve) set aside.
    pub fn unreserve(&self, bytes: usize) {
        self.with(|state| {
            state.set_reserved(state.reserved.saturating_sub(bytes), self.granule);
        });
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

    /// What was counted.
    pub fn stats(&self) -> PoolStats {
        let shift = self.granule.shift;
        self.with(|state| PoolStats {
            capacity: state.granules << shift,
            allocated: state.allocated << shift,
            peak: state.peak << shift,
            reserved: state.reserved,
            largest_free: state.buddy.largest_free().map_or(0, |order| 1 << (shift + order)),
            blocks: state.blocks,
            failures: state.failures,
        })
    }

    fn capacity(&self) -> usize {
        self.granules << self.granule.shift
    }

    fn put<T: 'static>(&'static self, value: T, claim: Claim) -> Result<PoolBox<T>, Refused<T>> {
        let (size, align) = (size_of::<T>(), align_of::<T>());
        let taken = if self.content == Content::Bytes {
            Err(Error::BytesOnly)
        } else if self.base.addr().get() & (align - 1) != 0 {
            Err(Error::Alignment)
        } else {
            // Not only the size: a type without size may still ask for an alignment.
            self.take(size.max(align), claim)
        };
        let block = match taken {
            Ok(block) => block.cast::<T>(),
            Err(error) => return Err(Refused { error, value }),
        };
        // SAFETY: the block is as large as the type and begins at a multiple of its own size
        // past a base that is aligned for the type, so it is aligned too. It is ours.
        unsafe {
            block.write(value);
            Ok(PoolBox::from_raw(block, self))
        }
    }

    /// Takes a block of at least `size` bytes.
    fn take(&self, size: usize, claim: Claim) -> Result<NonNull<u8>, Error> {
        let order = self.granule.order_for(size);
        let block = self.with(|state| state.take(order, claim))?;
        // SAFETY: a block's granules lie in the region, from `base` on.
        Ok(unsafe { self.base.add((block as usize) << self.granule.shift) })
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// Nothing uses the block that begins at `block`, an address this pool handed out, any more.
    pub(crate) unsafe fn release(&self, block: NonNull<u8>) {
        let offset = block.addr().get() - self.base.addr().get();
        let freed = self.with(|state| {
            let order = state.buddy.free((offset >> self.granule.shift) as u32)?;
            state.allocated -= 1 << order;
            state.blocks -= 1;
            Ok::<_, Error>(())
        });
        // By the boxes' invariant this cannot fail; should it, nothing was changed.
        debug_assert_eq!(freed, Ok(()));
    }

    /// Runs `work` inside the exclusion. It must not enter the pool again.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.exclusion.enter();
        // SAFETY: no other flow of control is between `enter` and `leave`, and this one is
        // here only once: the closures are all in this file and call neither foreign code nor
        // `with`.
        let result = work(unsafe { &mut *self.state.get() });
        self.exclusion.leave();
        result
    }
}

impl State {
    /// Takes a block of `2^order` granules.
    #[inline]
    fn take(&mut self, order: u32, claim: Claim) -> Result<u32, Error> {
        let ceiling = if claim == Claim::Reserved { self.granules } else { self.ceiling };
        if order >= Buddy::ORDERS {
            return Err(self.refuse(order));
        }
        let allocated = self.allocated + (1 << order);
        if allocated > ceiling {
            return Err(self.refuse(order));
        }
        let Ok(block) = self.buddy.allocate(order) else {
            return Err(self.refuse(order));
        };
        self.allocated = allocated;
        self.peak = self.peak.max(allocated);
        self.blocks += 1;
        Ok(block)
    }

    /// Counts a failure and says why.
    #[cold]
    fn refuse(&mut self, order: u32) -> Error {
        self.failures += 1;
        let possible = order < Buddy::ORDERS && 1 << order <= self.granules;
        if possible { Error::Exhausted } else { Error::TooLarge }
    }

    /// Sets aside `bytes`, which is no more than there is.
    fn set_reserved(&mut self, bytes: usize, granule: Granule) {
        self.reserved = bytes;
        self.ceiling = self.granules - bytes.div_ceil(granule.bytes());
    }
}

/// How many granules fit into `room` bytes together with their part of the table.
fn granules_in(room: usize, granule: Granule) -> usize {
    let fits = |granules: usize| {
        let table = Table::links_for(granules) * mem::size_of::<Link>() + granules;
        (granules << granule.shift) + table <= room
    };
    // At 5 bytes of table a granule, but for an odd last one, whose link is a whole one.
    let granules = room / (granule.bytes() + 5);
    if fits(granules) { granules } else { granules.saturating_sub(1) }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("region", &self.region()).finish_non_exhaustive()
    }
}
