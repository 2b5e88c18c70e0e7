//! Values in a pool that several hold.

use crate::{Lent, Pool, Refused};
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering, fence};

/// The most holders: as many more can come between the check and its consequence.
const MOST: u32 = u32::MAX / 2;

/// A value in a pool that is there as long as anybody holds it. The last holder to drop its share
/// drops the value and gives its block back; like every [`Lent`] one, that stays taken until then
/// even if the pool's owner has come to its end.
///
/// One word.
pub struct Shared<T: 'static> {
    /// Points to a valid value in a lent block of its own pool, in which this share is counted.
    counted: NonNull<Counted<T>>,
}

struct Counted<T> {
    holders: AtomicU32,
    pool: &'static Pool,
    value: T,
}

// SAFETY: the holders share a `T`, and any of them may be the one to drop it; giving the block
// back from another thread is what the pool's exclusion is for, and from another core it goes by a list for that.
unsafe impl<T: Send + Sync> Send for Shared<T> {}

// SAFETY: `&Shared<T>` gives out `&T`, and further shares, with which another thread may come to be
// the one that drops the `T`: it is both `Sync` and `Send`.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Moves `value` into `pool`.
    ///
    /// # Errors
    /// The value, as for [`Pool::alloc`].
    pub fn new(pool: &'static Pool, value: T) -> Result<Self, Refused<T>> {
        match pool.alloc(Counted { holders: AtomicU32::new(1), pool, value }) {
            Ok(counted) => Ok(Self { counted: counted.into_raw().0 }),
            Err(Refused { error, value }) => Err(Refused { error, value: value.value }),
        }
    }

    /// Whether both are of the same value.
    pub fn same(&self, other: &Self) -> bool {
        self.counted == other.counted
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: valid by the field's invariant, and counted with `self`, which is borrowed.
        unsafe { self.counted.as_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        let holders = self.counted().holders.fetch_add(1, Ordering::Relaxed);
        assert!(holders < MOST, "more hold a value than can be counted");
        Self { counted: self.counted }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // What the others did with the value comes before what the last one does.
        if self.counted().holders.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            let pool = self.counted().pool;
            // SAFETY: `new` took it out of a box of that pool; this was the last share, so
            // nobody refers to it any more.
            drop(unsafe { Lent::from_raw(self.counted, pool) });
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
