//! The right to have boxes of one's own.

use crate::{Error, Pool, PoolAllocator, PoolBox, Refused};
use core::fmt;
use core::marker::PhantomData;

/// Says that this code is run by a pool's owner, and until the end of `'run` will not be run by
/// anybody else.
///
/// Code that has it may allocate and open [`PoolBox`]es. It is bound to the owner twice: neither it
/// nor the boxes can be sent or shared, and the references that it opens them for are no longer
/// than a run. So nothing outside of the owner can refer to its own blocks, and they can be
/// [reclaimed](Pool::reclaim) when the owner has come to an end in the middle of its work. Collections are
/// bound to it once: they [cannot be sent or shared](PoolAllocator), either.
#[derive(Clone, Copy)]
pub struct Own<'run> {
    pool: &'static Pool,
    /// Neither `Send` nor `Sync`.
    here: PhantomData<(&'run (), *const ())>,
}

impl<'run> Own<'run> {
    /// The right over `pool`.
    ///
    /// # Safety
    /// - Only code that the pool's owner runs gets it, and `'run` does not outlast that run: it
    ///   is not `'static`, but a lifetime that code has to accept whichever it is.
    /// - That code cannot have others wait for it: there is nothing by which it could lend what
    ///   it borrows to another flow of control, as scoped threads do.
    /// - After the first [`Pool::reclaim`] of the pool none of it ever goes on, and nothing that
    ///   it left behind on its stack, or anywhere but in lent blocks, is used any more.
    pub const unsafe fn new(pool: &'static Pool) -> Self {
        Self { pool, here: PhantomData }
    }

    /// The pool.
    pub const fn pool(self) -> &'static Pool {
        self.pool
    }

    /// The pool, as collections of one's own allocate from it.
    pub const fn allocator(self) -> PoolAllocator {
        PoolAllocator::new(self.pool)
    }

    /// Moves `value` into the pool.
    ///
    /// # Errors
    /// The value, with [`Error::Exhausted`], [`Error::TooLarge`], [`Error::Alignment`], or
    /// [`Error::BytesOnly`] in a pool of [`Content::Bytes`](crate::Content).
    pub fn alloc<T: 'static>(self, value: T) -> Result<PoolBox<T>, Refused<T>> {
        let value = self.pool.put(value, Pool::take_own)?;
        // SAFETY: `put` has put it into an own block, and code that has an `Own` of the pool is its
        // owner.
        Ok(unsafe { PoolBox::from_raw(value, self.pool) })
    }

    /// Like [`alloc`](Self::alloc), and may take what is [reserved](Pool::reserve).
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_reserved<T: 'static>(self, value: T) -> Result<PoolBox<T>, Refused<T>> {
        let value = self.pool.put(value, Pool::take_own_reserved)?;
        // SAFETY: `put` has put it into an own block, from the reserve or not, and code that has an
        // `Own` of the pool is its owner.
        Ok(unsafe { PoolBox::from_raw(value, self.pool) })
    }

    /// `len` bytes, as for [`Pool::bytes`].
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::TooLarge`].
    pub fn bytes(self, len: usize) -> Result<PoolBox<[u8]>, Error> {
        let bytes = self.pool.lay_out(len, Pool::take_own)?;
        // SAFETY: `lay_out` has initialised them in an own block, and code that has an `Own` of the
        // pool is its owner.
        Ok(unsafe { PoolBox::from_raw(bytes, self.pool) })
    }
}

impl fmt::Debug for Own<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("pool", self.pool).finish()
    }
}
