//! How values of the core are borrowed: for the time of a closure, by the token of a section.
//!
//! Builds with debug assertions count the borrows, and say where both were when a second comes.

use super::deferral::Section;
use super::local::{LateInit, Local};
use core::ops::{Deref, DerefMut};
#[cfg(debug_assertions)]
use {
    super::local::Borrowed,
    crate::cpu,
    core::{panic::Location, sync::atomic::Ordering::Relaxed},
};

impl<T> Local<T> {
    /// Runs `work` on the value. It borrows the value once: what it calls does not come here again.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn with<R>(&self, cs: &Section, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.borrow(cs))
    }

    /// Borrows the value: [`with`](Self::with) for the dispatcher, in which each instruction
    /// counts, and which a compiler does not always put into its callers as a closure. What it
    /// returns is to be given a name, as it lasts to the end of the statement otherwise.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn borrow<'a>(&'a self, _: &'a Section) -> Borrow<'a, T> {
        #[cfg(debug_assertions)]
        self.borrowed.begin();
        // SAFETY: a section is open for as long as its token is borrowed, so nobody else is at the
        // value; nor is the caller: `borrowed` says so, or has said so in a build where it does.
        let value = unsafe { &mut *self.value.get() };
        Borrow {
            value,
            #[cfg(debug_assertions)]
            borrowed: &self.borrowed,
        }
    }
}

impl<T> LateInit<T> {
    /// Gives it its value.
    pub(crate) fn set(&self, cs: &Section, value: T) {
        self.0.with(cs, |place| {
            place.write(value);
        });
    }

    /// Runs `work` on the value, as [`Local::with`] does. It has been [set](Self::set): the kernel's
    /// start does that before there is a [`Runtime`](crate::Runtime), a context, a job or an
    /// interrupt, and one of these has called the caller.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn with<R>(&self, cs: &Section, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.borrow(cs))
    }

    /// Borrows the value, as [`Local::borrow`] does.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn borrow<'a>(&'a self, _: &'a Section) -> Borrow<'a, T> {
        #[cfg(debug_assertions)]
        self.0.borrowed.begin();
        // SAFETY: as for `Local`; and it has been set, as said above.
        let value = unsafe { (*self.0.value.get()).assume_init_mut() };
        Borrow {
            value,
            #[cfg(debug_assertions)]
            borrowed: &self.0.borrowed,
        }
    }
}

/// A borrowed value of the core.
pub(crate) struct Borrow<'a, T> {
    value: &'a mut T,
    #[cfg(debug_assertions)]
    borrowed: &'a Borrowed,
}

impl<T> Deref for Borrow<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> DerefMut for Borrow<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

#[cfg(debug_assertions)]
impl<T> Drop for Borrow<'_, T> {
    fn drop(&mut self) {
        self.borrowed.end();
    }
}

#[cfg(debug_assertions)]
impl Borrowed {
    #[track_caller]
    fn begin(&self) {
        let here = Location::caller();
        if let Some(first) = self.0.get() {
            panic!("borrowed at {here} while it is borrowed at {first}");
        }
        self.0.set(Some(here));
        cpu::this().borrows.fetch_add(1, Relaxed);
    }

    fn end(&self) {
        self.0.set(None);
        cpu::this().borrows.fetch_sub(1, Relaxed);
    }
}

/// Asserts that nothing of the core is borrowed, in builds with debug assertions: the processor is
/// about to go to another stack.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn assert_not_borrowed() {
    #[cfg(debug_assertions)]
    assert_eq!(
        cpu::this().borrows.load(Relaxed),
        0,
        "the processor changes stacks while values of the core are borrowed"
    );
}

#[cfg(test)]
mod tests;
