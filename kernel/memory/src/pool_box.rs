//! Values that live in a pool and never leave its owner.

use crate::buddy::Kind;
use crate::{Lent, Own, Pool};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

/// A value in a pool that is its owner's own. Dropping the box drops the value and gives its
/// block back; when the owner ends without dropping it, [reclaiming](Pool::reclaim) gives the
/// block back all the same.
///
/// So nothing may refer to the value that is not the owner's. The box is neither `Send` nor `Sync`
/// and cannot be leaked; and since it could be kept for ever inside of something else that can
/// be, a reference to its value is not had from a borrow of the box alone: that could be
/// `'static`. It takes an [`Own`], the lifetime of which ends with the owner's run.
///
/// ```
/// # use reflex_memory::{Own, PoolBox};
/// fn handler(counter: &mut PoolBox<u32>, own: Own<'_>) -> u32 {
///     *counter.get_mut(own) += 1;
///     *counter.get(own)
/// }
/// ```
/// Not even in a box that is kept for ever:
/// ```compile_fail,E0521
/// # use reflex_memory::{Own, PoolBox};
/// fn handler(counter: PoolBox<u32>, own: Own<'_>) -> &'static u32 {
///     let kept: &'static PoolBox<u32> = Box::leak(Box::new(counter));
///     kept.get(own)
/// }
/// ```
/// To another thread goes neither a box, nor a reference to one, nor the right:
/// ```compile_fail,E0277
/// # use reflex_memory::PoolBox;
/// fn send<T: Send>() {}
/// send::<PoolBox<u32>>();
/// ```
/// ```compile_fail,E0277
/// # use reflex_memory::PoolBox;
/// fn send<T: Send>() {}
/// send::<&'static PoolBox<u32>>();
/// ```
/// ```compile_fail,E0277
/// # use reflex_memory::Own;
/// fn send<T: Send>() {}
/// send::<Own<'static>>();
/// ```
/// ```compile_fail,E0277
/// # use reflex_memory::Own;
/// fn send<T: Send>() {}
/// send::<&'static Own<'static>>();
/// ```
pub struct PoolBox<T: ?Sized + 'static> {
    /// Points to the start of an own block that `pool` handed out for this box, holding a valid
    /// `T` that nothing else refers to.
    value: NonNull<T>,
    pool: &'static Pool,
    /// Neither `Send` nor `Sync`.
    owned: PhantomData<(*const (), T)>,
}

impl<T: ?Sized> PoolBox<T> {
    /// Takes ownership of a value in a block.
    ///
    /// # Safety
    /// `value` is at the start of an own block of `pool` that is large enough and aligned for
    /// it, it points to a valid `T`, and nothing else uses the block or frees it. The caller is
    /// the pool's owner.
    pub(crate) unsafe fn from_raw(value: NonNull<T>, pool: &'static Pool) -> Self {
        Self { value, pool, owned: PhantomData }
    }

    /// The value, for no longer than the owner's run.
    #[inline(always)]
    pub fn get<'a>(&'a self, own: Own<'a>) -> &'a T {
        debug_assert!(core::ptr::eq(self.pool, own.pool()));
        // SAFETY: valid by the field's invariant; `&self` keeps it from being changed. The block
        // stays taken as long as the box is borrowed, unless it is reclaimed; and then the run is
        // over, which the reference does not outlast.
        unsafe { self.value.as_ref() }
    }

    /// The value, for no longer than the owner's run.
    #[inline(always)]
    pub fn get_mut<'a>(&'a mut self, own: Own<'a>) -> &'a mut T {
        debug_assert!(core::ptr::eq(self.pool, own.pool()));
        // SAFETY: valid by the field's invariant, and no other reference to it lives: they all
        // borrow the box, which `&mut self` has alone. The block stays taken as long as the box is
        // borrowed, unless it is reclaimed; and then the run is over, which the reference does not
        // outlast.
        unsafe { self.value.as_mut() }
    }

    /// The pool the value lives in.
    pub fn pool(&self) -> &'static Pool {
        self.pool
    }

    /// Where the value is.
    pub fn as_ptr(&self) -> *const T {
        self.value.as_ptr()
    }

    /// Makes it one that may leave its owner and outlast it, until its holder drops it or the owner
    /// [keeps](Lent::keep) it again.
    pub fn lend(self) -> Lent<T>
    where
        T: Send,
    {
        let kept = ManuallyDrop::new(self);
        kept.pool.change_kind(kept.value.cast(), Kind::Own, Kind::Lent);
        // SAFETY: the value was this box's, which is not dropped, and its block is a lent one now:
        // the right kind by the field's invariant, since `turn` changes an own block's.
        unsafe { Lent::from_raw(kept.value, kept.pool) }
    }
}

impl<T> PoolBox<T> {
    /// Moves the value out and gives its block back.
    pub fn into_inner(self) -> T {
        let kept = ManuallyDrop::new(self);
        // SAFETY: the pointer is valid by the field's invariant, and the value is not used
        // through it again.
        let inner = unsafe { kept.value.read() };
        // SAFETY: the block was this box's, and nothing refers to it any more.
        unsafe { kept.pool.release_own(kept.value.cast()) };
        inner
    }
}

impl<T: ?Sized> Drop for PoolBox<T> {
    fn drop(&mut self) {
        // SAFETY: the value is valid, owned by this box, and not used again: this is `drop`.
        unsafe { self.value.drop_in_place() };
        // SAFETY: the block was this box's, and its value is gone.
        unsafe { self.pool.release_own(self.value.cast()) };
    }
}

impl<T: ?Sized> fmt::Debug for PoolBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBox").field("value", &self.value).finish_non_exhaustive()
    }
}
