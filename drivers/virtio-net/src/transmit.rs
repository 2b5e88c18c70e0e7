//! The transmitting half.

use crate::{ETHERNET, Error, HEADER};
use alloc::boxed::Box;
use core::mem;
use core::slice;
use reflex_hil::{NicCounters, NicError, Transmit};
use reflex_virtio_bus::{Dma, Queue, Queues};
use virtio_drivers::BufferDirection::DriverToDevice;
use virtio_drivers::Hal;

/// A network device's transmitting half: a buffer for each slot of its ring, in which the header
/// is zero for good and the frame is written in place.
///
/// Buffers are taken back when they are asked for, not by interrupt, unless one is awaited.
pub struct Transmitter<H: Hal, T> {
    queue: Queue<H>,
    buffers: Dma<H>,
    /// Bytes from buffer to buffer.
    stride: usize,
    /// The free slots, as a stack of which the first `free_count` count.
    free: Box<[u16]>,
    free_count: usize,
    /// An interrupt was asked for and has not been answered by a look at the queue.
    awaited: bool,
    mac: [u8; 6],
    mtu: u16,
    counters: NicCounters,
    failed: bool,
    /// Dropping it resets the device.
    device: T,
}

impl<H: Hal, T: Queues> Transmitter<H, T> {
    /// Makes the buffers of a device that does not run yet.
    pub(crate) fn new(
        mut queue: Queue<H>,
        mac: [u8; 6],
        mtu: u16,
        device: T,
    ) -> Result<Self, Error> {
        // Whole cache lines, so that the device and we never work on the same one.
        let stride = (HEADER + ETHERNET + usize::from(mtu)).next_multiple_of(64);
        let slots = queue.size();
        let buffers = Dma::new(stride * usize::from(slots), DriverToDevice)?;
        queue.suppress();
        Ok(Self {
            queue,
            buffers,
            stride,
            // The first to be used is on top.
            free: (0..slots).rev().collect(),
            free_count: slots.into(),
            awaited: false,
            mac,
            mtu,
            counters: NicCounters::default(),
            failed: false,
            device,
        })
    }

    /// The device, while it is being started.
    pub(crate) fn device(&mut self) -> &mut T {
        &mut self.device
    }

    /// Takes back what the device has sent.
    #[inline]
    fn reclaim(&mut self) {
        let before = self.free_count;
        // Ends after a ringful: the queue returns only what is lent, and nothing is lent here.
        loop {
            match self.queue.take() {
                Ok(Some(used)) => {
                    if let Some(place) = self.free.get_mut(self.free_count) {
                        *place = used.slot;
                        self.free_count += 1;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    self.fail();
                    break;
                }
            }
        }
        if self.awaited && self.free_count > before {
            self.awaited = false;
            self.queue.suppress();
        }
    }

    /// The device can no longer be believed.
    #[cold]
    fn fail(&mut self) {
        // Nothing more is queued.
        self.free_count = 0;
        if !mem::replace(&mut self.failed, true) {
            self.counters.device_errors += 1;
            log::error!("virtio-net: the device broke the transmit queue, which is stopped");
        }
    }
}

impl<H: Hal, T: Queues + Send> Transmit for Transmitter<H, T> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> usize {
        self.mtu.into()
    }

    fn available(&mut self) -> usize {
        self.reclaim();
        self.free_count
    }

    fn waiting(&mut self) -> usize {
        self.reclaim();
        if self.failed { 0 } else { self.free.len() - self.free_count }
    }

    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        if length > ETHERNET + usize::from(self.mtu) {
            return Err(NicError::TooLong);
        }
        if self.free_count == 0 {
            self.reclaim();
        }
        let top = self.free_count.wrapping_sub(1);
        let Some(&slot) = self.free.get(top) else {
            return Err(if self.failed { NicError::DeviceFailed } else { NicError::TransmitFull });
        };
        let offset = usize::from(slot) * self.stride;
        // SAFETY: each slot has `stride` bytes in the buffers, header and longest frame; this
        // one is free, so that the device does not use it. The bytes were zeroed once and since
        // then only written.
        let frame = unsafe {
            let frame = self.buffers.memory().add(offset + HEADER);
            slice::from_raw_parts_mut(frame.as_ptr(), length)
        };
        fill(frame);
        // Only now, so that a `fill` that never returns has taken nothing.
        self.free_count = top;
        let address = self.buffers.physical() + offset as u64;
        // SAFETY: the slot was free. Its buffer is not touched before the slot is on the stack
        // of free ones again.
        unsafe {
            self.queue.describe(slot, address, (HEADER + length) as u32, DriverToDevice);
            self.queue.offer(slot);
        }
        self.counters.frames += 1;
        Ok(())
    }

    fn flush(&mut self) {
        self.counters.notifications += u64::from(self.queue.notify());
    }

    fn notify_when_available(&mut self) -> bool {
        // What the device has not seen it will not send.
        self.flush();
        if self.free_count == 0 && !self.failed {
            self.awaited = true;
            // What was sent before this is taken back now; the rest interrupts.
            let _ = self.queue.enable();
        }
        self.reclaim();
        // After a failure no interrupt would come: the caller goes on, and its next send says so.
        self.free_count > 0 || self.failed
    }

    fn counters(&self) -> NicCounters {
        self.counters
    }
}
