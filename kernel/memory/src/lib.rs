//! To come.
#![no_std]
use core::ops::{Deref, DerefMut};
/// To come.
pub struct Pool;
/// To come.
pub struct PoolBox<T: ?Sized + 'static>(&'static mut T);
impl<T: ?Sized> Deref for PoolBox<T> { type Target = T; fn deref(&self) -> &T { self.0 } }
impl<T: ?Sized> DerefMut for PoolBox<T> { fn deref_mut(&mut self) -> &mut T { self.0 } }
