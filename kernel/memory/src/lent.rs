//! Values that live in a pool and come back when their holder drops them.

use crate::buddy::Kind;
use crate::{LentDyn, Own, Pool, PoolBox};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// A value in a pool that may be anywhere: with the pool's owner, another context, a device.
/// Dropping the box, wherever it is, drops the value and gives its block back. Until then it stays
/// taken, even if the owner has come to its end.
///
/// Two words for a sized `T`: the block and its order are found from the address.
pub struct Lent<T: ?Sized + 'static> {
    /// Points to the start of a lent block that `pool` handed out for this box, holding a valid
    /// `T` that nothing else refers to.
    value: NonNull<T>,
    pool: &'static Pool,
    owned: PhantomData<T>,
}

// SAFETY: the box owns its `T` exclusively, so sending the box sends a `T`; giving the block back
// from another thread is what the pool's exclusion is for, and from another core it goes by a list for that.
unsafe impl<T: ?Sized + Send> Send for Lent<T> {}

// SAFETY: sharing the box gives out `&T` only; the pool is `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for Lent<T> {}

impl<T: ?Sized> Lent<T> {
    /// Takes ownership of a value in a block.
    ///
    /// # Safety
    /// `value` is at the start of a lent block of `pool` that is large enough and aligned
    /// for it, it points to a valid `T`, and nothing else uses the block or frees it.
    ///
    /// What [`into_raw`](Self::into_raw) gave up is such a value, also when its pointer has
    /// been turned into one to a trait object since.
    pub unsafe fn from_raw(value: NonNull<T>, pool: &'static Pool) -> Self {
        Self { value, pool, owned: PhantomData }
    }

    /// The pool the value lives in.
    pub fn pool(&self) -> &'static Pool {
        self.pool
    }

    /// Gives up ownership: the value stays for ever, and so does its block.
    pub fn leak(self) -> &'static mut T {
        let mut kept = ManuallyDrop::new(self);
        // SAFETY: `value` is valid and unaliased by the field's invariant. The box is never
        // dropped, so the block is never freed, and pools are 'static.
        unsafe { kept.value.as_mut() }
    }

    /// The parts, with the duty to drop the value and free the block:
    /// [`from_raw`](Self::from_raw) does both.
    pub fn into_raw(self) -> (NonNull<T>, &'static Pool) {
        let kept = ManuallyDrop::new(self);
        (kept.value, kept.pool)
    }
}

impl<T: ?Sized> Lent<T> {
    /// Makes it the owner's own, which it stays until it is [lent](PoolBox::lend) again.
    ///
    /// # Errors
    /// The box, when it is of another pool.
    pub fn keep(self, own: Own<'_>) -> Result<PoolBox<T>, Self> {
        if !core::ptr::eq(self.pool, own.pool()) {
            return Err(self);
        }
        let (value, pool) = self.into_raw();
        pool.change_kind(value.cast(), Kind::Lent, Kind::Own);
        // SAFETY: it was this box's, given up, and the block is an own one now. The caller is the
        // pool's owner, or it would have no `Own` of the pool.
        Ok(unsafe { PoolBox::from_raw(value, pool) })
    }
}

impl<T> Lent<T> {
    /// Moves the value out and gives its block back.
    pub fn into_inner(self) -> T {
        let (value, pool) = self.into_raw();
        // SAFETY: the pointer is valid by the field's invariant, and the value is not used
        // through it again.
        let inner = unsafe { value.read() };
        // SAFETY: the block was this box's, and nothing refers to it any more.
        unsafe { pool.release_lent(value.cast()) };
        inner
    }

    /// The same value, seen through what `view` makes of it: usually a trait object, as in
    /// `boxed.unsize(|value| value as &mut dyn Handler)`.
    ///
    /// Whatever `view` returns, dropping the result drops the whole `T`.
    pub fn unsize<U: ?Sized + 'static>(
        self,
        view: impl for<'a> FnOnce(&'a mut T) -> &'a mut U,
    ) -> LentDyn<U>
    where
        T: Send,
    {
        LentDyn::new(self, view)
    }
}

impl<T: ?Sized> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: valid by the field's invariant; `&self` keeps it from being changed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: valid and unaliased by the field's invariant; `&mut self` keeps it so.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized> Drop for Lent<T> {
    fn drop(&mut self) {
        // SAFETY: the value is valid, owned by this box, and not used again: this is `drop`.
        unsafe { self.value.drop_in_place() };
        // SAFETY: the block was this box's, and its value is gone.
        unsafe { self.pool.release_lent(self.value.cast()) };
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
