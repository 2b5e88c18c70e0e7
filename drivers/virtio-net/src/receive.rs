//! The receiving half.

use crate::{Error, HEADER};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::{self, ManuallyDrop};
use core::ptr::NonNull;
use reflex_hil::{Frame, NicCounters, Receive};
use reflex_memory::{Lent, Pool};
use reflex_virtio_bus::{Queue, Quiet};
use virtio_drivers::BufferDirection::DeviceToDriver;
use virtio_drivers::{Hal, PhysAddr};

/// A buffer that is with the device. Never dropped: only a reset would end the device's hold.
struct Posted {
    buffer: ManuallyDrop<Lent<[u8]>>,
    address: PhysAddr,
}

impl Posted {
    /// Shares a buffer with the device.
    fn new<H: Hal>(mut buffer: Lent<[u8]>) -> Self {
        // SAFETY: the buffer is valid, not empty, and ours alone.
        let address = unsafe { H::share(NonNull::from(&mut *buffer), DeviceToDriver) };
        Self { buffer: ManuallyDrop::new(buffer), address }
    }

    /// Takes the buffer back.
    ///
    /// # Safety
    /// The device has done with it.
    unsafe fn into_buffer<H: Hal>(self) -> Lent<[u8]> {
        let mut buffer = ManuallyDrop::into_inner(self.buffer);
        // SAFETY: the buffer is valid, not empty and ours alone, and this is the address that
        // `share` gave for it; the device has done with it, says the caller.
        unsafe { H::unshare(self.address, NonNull::from(&mut *buffer), DeviceToDriver) };
        buffer
    }
}

/// Where buffers are taken.
struct Frames {
    first: &'static Pool,
    /// Others in the place of buffers that do not come back; few, as each is larger than those before.
    more: Vec<&'static Pool>,
}

impl Frames {
    /// A buffer of so many bytes.
    #[inline]
    fn take(&self, bytes: usize) -> Option<Lent<[u8]>> {
        let first = self.first.bytes(bytes).ok();
        first.or_else(|| self.more.iter().rev().find_map(|more| more.bytes(bytes).ok()))
    }
}

/// A network device's receiving half: as many pool buffers as its ring has slots are with the
/// device, always.
///
/// Dropping it leaves them there: the device may still write to them.
pub struct Receiver<H: Hal> {
    queue: Queue<H>,
    /// What each slot of the queue has lent.
    lent: Box<[Posted]>,
    frames: Frames,
    /// Bytes of a buffer.
    buffer: usize,
    counters: NicCounters,
    failed: bool,
}

impl<H: Hal> Receiver<H> {
    /// Fills the ring of a device that does not run yet.
    pub(crate) fn new(
        mut queue: Queue<H>,
        frames: &'static Pool,
        buffer: usize,
    ) -> Result<Self, Error> {
        let mut buffers = Vec::with_capacity(queue.size().into());
        for _ in 0..queue.size() {
            buffers.push(frames.bytes(buffer).map_err(|_| Error::TooFewFrames)?);
        }
        let lent: Box<[Posted]> = buffers.into_iter().map(Posted::new::<H>).collect();
        for (slot, lent) in (0..).zip(&lent) {
            // SAFETY: each slot once, and none is lent yet, each with a buffer of that length,
            // which `lent` keeps untouched until the slot is taken.
            unsafe {
                queue.describe(slot, lent.address, buffer as u32, DeviceToDriver);
                queue.offer(slot);
            }
        }
        queue.publish();
        let frames = Frames { first: frames, more: Vec::new() };
        Ok(Self { queue, lent, frames, buffer, counters: NicCounters::default(), failed: false })
    }

    /// What suppresses the device's interrupts for received frames in interrupt context.
    pub fn quiet(&self) -> Quiet {
        // SAFETY: nothing in here frees the queue, which is private; dropping it leaks its memory.
        unsafe { self.queue.quiet() }
    }

    /// The device runs now: it may be notified.
    pub(crate) fn started(&mut self) {
        self.tell();
    }

    /// Notifies the device of buffers put back, if it wants that.
    fn tell(&mut self) {
        self.counters.notifications += u64::from(self.queue.notify());
    }

    /// The device can no longer be believed.
    #[cold]
    fn fail(&mut self) {
        if !mem::replace(&mut self.failed, true) {
            self.counters.device_errors += 1;
            log::error!("virtio-net: the device broke the receive queue, which is stopped");
        }
    }
}

impl<H: Hal> Receive for Receiver<H> {
    fn next(&mut self) -> Option<Frame> {
        // Frames that are dropped are passed over, but no more than a ringful: a device that
        // keeps sending such does not keep the job.
        for _ in 0..self.lent.len() {
            let used = match self.queue.take() {
                Ok(used) => used?,
                Err(_) => {
                    self.fail();
                    return None;
                }
            };
            let length = used.written as usize;
            let fresh = if (HEADER..=self.buffer).contains(&length) {
                let fresh = self.frames.take(self.buffer);
                self.counters.no_buffer += u64::from(fresh.is_none());
                fresh
            } else {
                self.counters.device_errors += 1;
                None
            };
            // There is one for each slot, and the queue returns only slots.
            let lent = self.lent.get_mut(usize::from(used.slot))?;
            let Some(fresh) = fresh else {
                // The same buffer goes back, described as before.
                // SAFETY: the slot was just taken; its buffer is untouched and stays in `lent`.
                unsafe { self.queue.offer(used.slot) };
                self.queue.publish();
                continue;
            };
            let filled = mem::replace(lent, Posted::new::<H>(fresh));
            // SAFETY: the slot was just taken; its new buffer is as long as the one before, and
            // stays in `lent`.
            unsafe {
                self.queue.set_address(used.slot, lent.address);
                self.queue.offer(used.slot);
            }
            self.queue.publish();
            // SAFETY: the device has returned this buffer's slot.
            let buffer = unsafe { filled.into_buffer::<H>() };
            self.counters.frames += 1;
            // At most a buffer, as checked, and these are shorter than 2^16.
            return Frame::new(buffer, HEADER as u16..length as u16);
        }
        None
    }

    fn add_buffers(&mut self, more: &'static Pool) {
        self.frames.more.push(more);
    }

    fn enable(&mut self) -> bool {
        self.tell();
        self.queue.enable()
    }

    fn counters(&self) -> NicCounters {
        self.counters
    }
}
