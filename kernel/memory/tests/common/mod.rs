//! Pools on the host.

use reflex_memory::{Content, Cursor, Error, Exclusion, Granule, Own, Pool, Scheme};
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// A spin lock; it does not nest, so that a pool which entered it twice would hang.
#[derive(Default)]
pub(crate) struct Lock(AtomicBool);

// SAFETY: only one flow of control can have changed the flag from false to true, and Acquire
// pairs with Release.
unsafe impl Exclusion for Lock {
    fn enter(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn leave(&self) {
        assert!(self.0.swap(false, Ordering::Release), "left without having entered");
    }
}

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// `len` bytes, `skew` past a page boundary, that hold 0xA5 and stay for ever.
pub(crate) fn region(skew: usize, len: usize) -> NonNull<[u8]> {
    let pages = vec![MaybeUninit::new(Page([0xA5; 4096])); (skew + len).div_ceil(4096) + 1];
    let start = NonNull::from(Box::leak(pages.into_boxed_slice())).cast::<u8>();
    // SAFETY: within the pages.
    NonNull::slice_from_raw_parts(unsafe { start.add(skew) }, len)
}

/// A pool over `len` bytes that begin `skew` bytes past a page boundary and hold 0xA5.
pub(crate) fn pool(
    len: usize,
    skew: usize,
    granule: usize,
    content: Content,
) -> Result<&'static Pool, Error> {
    let lock = Box::leak(Box::new(Lock::default()));
    let granule = Granule::new(granule).unwrap();
    // SAFETY: the region was leaked: it lives for ever, and nothing else refers to it.
    let pool = unsafe { Pool::new(region(skew, len), granule, content, lock)? };
    Ok(Box::leak(Box::new(pool)))
}

/// A pool over `len` bytes that are found first fit.
pub(crate) fn arena(len: usize) -> &'static Pool {
    let scheme = Box::leak(Box::new(FirstFit::new(0, len)));
    let pool = Pool::with_scheme(scheme, Box::leak(Box::new(Lock::default())));
    Box::leak(Box::new(pool.unwrap()))
}

/// A pool of each kind, of 4 KiB.
pub(crate) fn pools() -> [&'static Pool; 2] {
    [pool(4_096, 0, 32, Content::Objects).unwrap(), arena(4_096)]
}

/// Runs `work` as the owner of `pool`.
pub(crate) fn run<R>(pool: &'static Pool, work: impl for<'run> FnOnce(Own<'run>) -> R) -> R {
    // SAFETY: each test is its pool's owner; what reclaims says so.
    work(unsafe { Own::new(pool) })
}

/// Takes back what the owner left; returns in how many steps.
///
/// # Safety
/// As for [`Pool::reclaim`].
pub(crate) unsafe fn reclaim(pool: &Pool) -> usize {
    let mut cursor = Cursor::default();
    for steps in 1.. {
        // SAFETY: the run that had the `Own` is over, and left nothing that is used, says the
        // caller.
        match unsafe { pool.reclaim(cursor) } {
            Some(next) => cursor = next,
            None => return steps,
        }
    }
    unreachable!("an end, or the test hangs");
}

/// The simplest scheme there is: the first gap that is large enough.
pub(crate) struct FirstFit {
    region: NonNull<[u8]>,
    /// Where blocks begin, from the region's start, and where they end.
    taken: BTreeMap<usize, usize>,
}

// SAFETY: the region is the scheme's own, wherever it is.
unsafe impl Send for FirstFit {}

impl FirstFit {
    pub(crate) fn new(skew: usize, len: usize) -> Self {
        Self { region: region(skew, len), taken: BTreeMap::new() }
    }

    /// Gaps, from where to where.
    fn gaps(&self) -> impl Iterator<Item = (usize, usize)> {
        let starts = std::iter::once(0).chain(self.taken.values().copied());
        starts.zip(self.taken.keys().copied().chain([self.region.len()]))
    }
}

// SAFETY: blocks are apart, in the region, and aligned as far as the page it begins at.
unsafe impl Scheme for FirstFit {
    fn region(&self) -> NonNull<[u8]> {
        self.region
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        assert!(layout.size().is_multiple_of(16) && (16..=4096).contains(&layout.align()));
        let fits = |(from, to): (usize, usize)| {
            let start = from.next_multiple_of(layout.align());
            (start + layout.size() <= to).then_some(start)
        };
        let start = self.gaps().find_map(fits)?;
        self.taken.insert(start, start + layout.size());
        // SAFETY: in the region.
        Some(unsafe { self.region.cast::<u8>().add(start) })
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        let start = block.addr().get() - self.region.cast::<u8>().addr().get();
        assert_eq!(self.taken.remove(&start), Some(start + layout.size()), "as it was allocated");
        // Nobody relies on what is left there.
        // SAFETY: the block is the scheme's again.
        unsafe { block.write_bytes(0x5A, layout.size()) };
    }

    fn largest_free(&self) -> usize {
        self.gaps().map(|(from, to)| to - from).max().unwrap_or(0)
    }
}
