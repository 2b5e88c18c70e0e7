//! Memory as devices see it.

use crate::address_space::map_device;
use core::ptr::{self, NonNull};
use reflex_runtime::memory;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// What drivers need of this machine: memory is identity mapped, and devices see all of it.
pub struct Identity;

// SAFETY: `dma_alloc` gives zeroed, page-aligned memory that `memory::take` gives out once, for
// good, mapped and writable, so that nothing aliases it; addresses are the same for the processor
// and for devices, so that nothing has to be copied; registers are mapped where they are, for good.
unsafe impl Hal for Identity {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match memory::take(pages * PAGE_SIZE, PAGE_SIZE) {
            Some(taken) => {
                let start = taken.cast::<u8>();
                // SAFETY: just taken, so mapped, writable, of this length and nobody else's.
                unsafe { start.write_bytes(0, taken.len()) };
                (start.addr().get() as u64, start)
            }
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        // Memory is taken for good; a device that could not be started has cost some.
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, length: usize) -> NonNull<u8> {
        map_device(address, length as u64).expect("memory for the page tables of a device");
        NonNull::new(ptr::with_exposed_provenance_mut(address as usize)).expect("not page zero")
    }

    #[inline]
    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().expose_provenance().get() as u64
    }

    #[inline]
    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
