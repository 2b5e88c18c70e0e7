//! Memory lent to a device for as long as the device runs.

use crate::Error;
use core::marker::PhantomData;
use core::ptr::NonNull;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Zeroed, physically contiguous pages both we and a device use.
///
/// Dropping it does *not* give the pages back: only the owner of the device knows that it has
/// been reset, and says so with [`Dma::free`].
pub struct Dma<H: Hal> {
    physical: PhysAddr,
    memory: NonNull<u8>,
    pages: usize,
    hal: PhantomData<fn() -> H>,
}

// SAFETY: the pages belong to this value alone, from whatever thread it is used.
unsafe impl<H: Hal> Send for Dma<H> {}

impl<H: Hal> Dma<H> {
    /// At least `bytes` bytes, page-aligned.
    ///
    /// # Errors
    /// [`Error::OutOfDmaMemory`].
    pub fn new(bytes: usize, direction: BufferDirection) -> Result<Self, Error> {
        let pages = bytes.div_ceil(PAGE_SIZE).max(1);
        let (physical, memory) = H::dma_alloc(pages, direction);
        // Physical address 0 is how a `Hal` says that it has nothing.
        if physical == 0 {
            return Err(Error::OutOfDmaMemory);
        }
        Ok(Self { physical, memory, pages, hal: PhantomData })
    }

    /// Where the device finds the pages.
    pub fn physical(&self) -> PhysAddr {
        self.physical
    }

    /// Where we find them.
    pub fn memory(&self) -> NonNull<u8> {
        self.memory
    }

    /// Length in bytes.
    pub fn length(&self) -> usize {
        self.pages * PAGE_SIZE
    }

    /// Gives the pages back.
    ///
    /// # Safety
    /// The device no longer uses them: it was reset, or never told of them. No pointer into them
    /// is used afterwards.
    pub unsafe fn free(self) {
        // SAFETY: the three values are those `dma_alloc` returned and was asked for, and `self`
        // is consumed, so that this happens once. The caller vouches for the device.
        unsafe { H::dma_dealloc(self.physical, self.memory, self.pages) };
    }
}
