//! Bytes that are handed to code which may stop anywhere and never go on: it may look at them and take them,
//! and what it has not taken is its lender's again.

use crate::Lent;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Something that can be handed to code which may never go on.
///
/// # Safety
/// Wherever the user of a view stops, for ever, the lender is whole, and dropping it gives up only what has
/// not been taken. In particular a view that is half moved, or exchanged for another one, changes nothing.
pub unsafe trait Lend {
    /// What the code is given.
    type View<'a>
    where
        Self: 'a;

    /// Lends it.
    fn lend(&mut self) -> Self::View<'_>;
}

/// Lent bytes, as long as nobody has taken them.
#[derive(Debug)]
pub struct Custody {
    /// Valid unless they are `taken`.
    bytes: ManuallyDrop<Lent<[u8]>>,
    /// Set once, by the one instruction by which they change hands.
    taken: AtomicBool,
}

/// Bytes in somebody's [custody](Custody).
#[derive(Debug)]
pub struct Taking<'a>(&'a Custody);

impl Custody {
    /// Takes bytes into custody.
    pub const fn new(bytes: Lent<[u8]>) -> Self {
        Self { bytes: ManuallyDrop::new(bytes), taken: AtomicBool::new(false) }
    }
}

// SAFETY: a view is a reference, of which there is one for as long as the lender is borrowed. What it can
// do is to set `taken`, by one instruction. Code that stops before that has taken nothing; code that stops
// after it has, and then the lender does not look at the bytes any more.
unsafe impl Lend for Custody {
    type View<'a> = Taking<'a>;

    fn lend(&mut self) -> Taking<'_> {
        Taking(self)
    }
}

// SAFETY: each of them is lent by itself.
unsafe impl<L: Lend, const N: usize> Lend for [Option<L>; N] {
    type View<'a>
        = [Option<L::View<'a>>; N]
    where
        Self: 'a;

    fn lend(&mut self) -> Self::View<'_> {
        self.each_mut().map(|place| place.as_mut().map(L::lend))
    }
}

impl Taking<'_> {
    /// The bytes; none when they have been taken.
    pub fn bytes(&self) -> &[u8] {
        if self.0.taken.load(Relaxed) { &[] } else { &self.0.bytes }
    }

    /// Takes the bytes.
    pub fn take(&mut self) -> Option<Lent<[u8]>> {
        if self.0.taken.swap(true, Relaxed) {
            return None;
        }
        // SAFETY: they have not been taken before, and are not looked at again: every look asks, and what
        // this view has lent is over, as it is borrowed exclusively. There is one view at a time.
        Some(unsafe { core::ptr::read(&raw const *self.0.bytes) })
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        if !*self.taken.get_mut() {
            // SAFETY: nobody has taken them, and nobody can any more.
            unsafe { ManuallyDrop::drop(&mut self.bytes) }
        }
    }
}
