//! A pool as what collections allocate from.

use crate::Pool;
use allocator_api2::alloc::{AllocError, Allocator, Layout};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A pool as an allocator of `allocator-api2` 0.2, which is that of `hashbrown`: for collections that are the
/// pool's owner's own. Got from an [`Own`](crate::Own).
///
/// A collection is bounded by the pool: what that refuses, `try_reserve` and its like return as an error, and
/// the calls that cannot return one panic. When the owner ends without dropping the collection,
/// [reclaiming](Pool::reclaim) takes its blocks back all the same.
///
/// It stays with the code of the owner, and so does every collection that allocates from it:
/// ```compile_fail,E0277
/// # use reflex_memory::PoolAllocator;
/// fn send<T: Send>() {}
/// send::<allocator_api2::vec::Vec<u32, PoolAllocator>>();
/// ```
/// ```compile_fail,E0277
/// # use reflex_memory::PoolAllocator;
/// fn send<T: Send>() {}
/// send::<&'static allocator_api2::boxed::Box<u32, PoolAllocator>>();
/// ```
/// ```compile_fail,E0277
/// # use reflex_memory::PoolAllocator;
/// fn send<T: Send>() {}
/// send::<PoolAllocator>();
/// ```
///
/// A reference into a collection that was leaked lasts for ever, unlike that to the value of a
/// [`PoolBox`](crate::PoolBox), and can go anywhere: so code that reclaims a pool has to know that there is
/// none, as [`Pool::reclaim`] says.
#[derive(Clone, Copy)]
pub struct PoolAllocator {
    pool: &'static Pool,
    /// Neither `Send` nor `Sync`.
    here: PhantomData<*const ()>,
}

impl PoolAllocator {
    /// The caller is the owner of `pool`: it has an [`Own`](crate::Own) of it.
    pub(crate) const fn new(pool: &'static Pool) -> Self {
        Self { pool, here: PhantomData }
    }

    /// The pool.
    pub const fn pool(self) -> &'static Pool {
        self.pool
    }

    /// The same block, seen as one of another layout that it is large enough for.
    fn in_place(self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<[u8]>> {
        let fits = old.size() != 0 && new.size() != 0 && self.pool.share_block(old, new);
        (fits && is_aligned(block, new)).then(|| NonNull::slice_from_raw_parts(block, new.size()))
    }

    /// Moves what is in a block to another.
    ///
    /// # Safety
    /// As for [`Allocator::grow`] and [`Allocator::shrink`].
    unsafe fn relocate(
        self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if let Some(same) = self.in_place(block, old, new) {
            return Ok(same);
        }
        let moved = self.allocate(new)?;
        let bytes = old.size().min(new.size());
        // SAFETY: both blocks are as long, the caller's by its word, and apart, since the new one was free. The
        // old one is given back once, as the caller uses it no more.
        unsafe {
            moved.cast::<u8>().copy_from_nonoverlapping(block, bytes);
            self.deallocate(block, old);
        }
        Ok(moved)
    }
}

// SAFETY: a block is handed out once, as large and as aligned as was asked for, and stays where it is until it
// is given back or the pool is reclaimed: after that nothing uses it, says the code that reclaims. Copies allocate from
// the same pool.
unsafe impl Allocator for PoolAllocator {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            let nothing = NonNull::without_provenance(
                core::num::NonZeroUsize::new(layout.align()).ok_or(AllocError)?,
            );
            return Ok(NonNull::slice_from_raw_parts(nothing, 0));
        }
        let block = self.pool.take_own_aligned(layout).map_err(|_| AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: the pool handed it out, as an own block, and nothing uses it any more, says the caller.
            unsafe { self.pool.release_own(block) }
        }
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty is the same.
        unsafe { self.relocate(block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's duty is the same.
        unsafe { self.relocate(block, old, new) }.or_else(|refused| {
            // When a smaller block is not to be had, the one that there is will do.
            let same = NonNull::slice_from_raw_parts(block, new.size());
            is_aligned(block, new).then_some(same).ok_or(refused)
        })
    }
}

fn is_aligned(block: NonNull<u8>, layout: Layout) -> bool {
    block.addr().get().is_multiple_of(layout.align())
}

impl fmt::Debug for PoolAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolAllocator").field("pool", self.pool).finish()
    }
}
