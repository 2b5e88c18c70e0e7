//! Telling a device that a queue has new buffers.

use core::ptr::NonNull;

/// A queue's notification register, so that a notification is exactly one store.
pub struct Doorbell {
    register: NonNull<u8>,
    queue: u16,
    width: Width,
}

/// How wide the store must be.
#[derive(Clone, Copy)]
enum Width {
    /// PCI (4.1.5.2).
    Sixteen,
    /// MMIO (4.2.2).
    ThirtyTwo,
}

// SAFETY: the register is mapped for good, in whatever thread, and what is written to it is this
// queue's number, always the same.
unsafe impl Send for Doorbell {}

impl Doorbell {
    /// The doorbell of `queue` on PCI.
    ///
    /// # Safety
    /// `register` is mapped for good, aligned to 2 bytes, and writing a queue's number to it
    /// notifies a device and does nothing else.
    pub unsafe fn pci(register: NonNull<u8>, queue: u16) -> Self {
        Self { register, queue, width: Width::Sixteen }
    }

    /// The doorbell of `queue` on MMIO.
    ///
    /// # Safety
    /// As [`Doorbell::pci`], aligned to 4 bytes.
    pub unsafe fn mmio(register: NonNull<u8>, queue: u16) -> Self {
        Self { register, queue, width: Width::ThirtyTwo }
    }

    /// Notifies the device: a VM exit.
    #[inline]
    pub fn ring(&mut self) {
        match self.width {
            // SAFETY: mapped for good, aligned to 2 bytes, and for notifications only, says `pci`'s
            // caller.
            Width::Sixteen => unsafe {
                self.register.cast::<u16>().write_volatile(self.queue);
            },
            // SAFETY: mapped for good, aligned to 4 bytes, and for notifications only, says
            // `mmio`'s caller.
            Width::ThirtyTwo => unsafe {
                self.register.cast::<u32>().write_volatile(u32::from(self.queue));
            },
        }
    }
}
