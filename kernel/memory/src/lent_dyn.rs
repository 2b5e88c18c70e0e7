//! Values in a pool that are known by a trait only.

use crate::{Lent, Pool};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Owns a value of a forgotten type in a pool, seen as a `U`; made by [`Lent::unsize`].
///
/// The value is dropped as the type it was allocated with: the view may be of a part of it and
/// need not know how to drop it.
pub struct LentDyn<U: ?Sized + 'static> {
    /// What the view function made of the value at `block`; used only while that lives.
    view: NonNull<U>,
    /// An owned value at the start of a block of `pool`, of the type `drop` is for.
    block: NonNull<u8>,
    pool: &'static Pool,
    drop: unsafe fn(NonNull<u8>),
    viewed: PhantomData<U>,
}

// SAFETY: the constructor demands that the owned value, which is dropped with the box, be
// `Send`; of it, only the `U` can be reached, and that is `Send` here.
unsafe impl<U: ?Sized + Send> Send for LentDyn<U> {}

// SAFETY: sharing gives out `&U` only.
unsafe impl<U: ?Sized + Sync> Sync for LentDyn<U> {}

impl<U: ?Sized> LentDyn<U> {
    pub(crate) fn new<T: Send + 'static>(
        boxed: Lent<T>,
        view: impl for<'a> FnOnce(&'a mut T) -> &'a mut U,
    ) -> Self {
        let (mut value, pool) = boxed.into_raw();
        // SAFETY: the value was the box's: valid, and now ours alone. The function accepts a
        // borrow of any length, so it may be lent for as long as the value will live: until
        // this `LentDyn` is dropped, which uses it otherwise only then.
        let view = NonNull::from(view(unsafe { value.as_mut() }));
        Self { view, block: value.cast(), pool, drop: drop_as::<T>, viewed: PhantomData }
    }

    /// The pool the value lives in.
    pub fn pool(&self) -> &'static Pool {
        self.pool
    }

    /// Gives the block back without dropping the value: when it is not known to be whole.
    pub fn forget(self) {
        let kept = ManuallyDrop::new(self);
        // SAFETY: the block was this box's, and nobody looks at the value any more.
        unsafe { kept.pool.release_lent(kept.block) };
    }

    /// Leaves the value and its block as they are, for ever: when somebody may point to it.
    pub fn leave(self) {
        let _kept = ManuallyDrop::new(self);
    }

    /// The address of the value's block, to tell from which memory it is.
    pub fn address(&self) -> *const u8 {
        self.block.as_ptr()
    }
}

/// Drops the `T` at `value`.
///
/// # Safety
/// There is a valid `T`, owned by the caller and not used again.
unsafe fn drop_as<T>(value: NonNull<u8>) {
    // SAFETY: a valid, owned `T` that is not used again, says the caller.
    unsafe { value.cast::<T>().drop_in_place() }
}

impl<U: ?Sized> Deref for LentDyn<U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: a borrow of the owned value that lasts as long as `self`.
        unsafe { self.view.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for LentDyn<U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: a unique borrow of the owned value that lasts as long as `self`.
        unsafe { self.view.as_mut() }
    }
}

impl<U: ?Sized> Drop for LentDyn<U> {
    fn drop(&mut self) {
        // SAFETY: `drop` was made for the type of the value at `block`, which is owned, and
        // neither it nor the view is used again.
        unsafe { (self.drop)(self.block) };
        // SAFETY: the block was this box's, and its value is gone.
        unsafe { self.pool.release_lent(self.block) };
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for LentDyn<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
