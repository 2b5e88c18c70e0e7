//! A process as the machine: physical addresses are its own.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::{NonNull, with_exposed_provenance_mut};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Memory is where it is; nothing is copied.
pub struct HostHal;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).expect("a size that exists")
}

// SAFETY: the memory comes zeroed and aligned from the allocator, and is given back as it came.
unsafe impl Hal for HostHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        assert_ne!(pages, 0);
        // SAFETY: the layout is not empty.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout(pages)) }).expect("memory");
        (memory.as_ptr().expose_provenance() as PhysAddr, memory)
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: it came from `dma_alloc` with as many pages, says the caller.
        unsafe { dealloc(memory.as_ptr(), layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, _size: usize) -> NonNull<u8> {
        NonNull::new(with_exposed_provenance_mut(physical as usize)).expect("an address")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        assert_ne!(buffer.len(), 0);
        buffer.cast::<u8>().as_ptr().expose_provenance() as PhysAddr
    }

    unsafe fn unshare(physical: PhysAddr, buffer: NonNull<[u8]>, _direction: BufferDirection) {
        assert_eq!(physical, buffer.cast::<u8>().addr().get() as PhysAddr, "another buffer's");
    }
}
