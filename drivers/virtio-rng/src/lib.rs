//! Seed bytes from a virtio entropy device (5.4), read once at boot.
//!
//! [`fill`] owns the device for as long as it takes and resets it afterwards: no interrupt, no
//! state. The one wait is bounded by a deadline the caller keeps.
#![no_std]

use core::fmt;
use reflex_virtio_bus::{Dma, Queue, Queues, finish, start};
use virtio_drivers::transport::{DeviceStatus, DeviceType};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE};

/// The device's only queue (5.4.2).
const REQUESTS: u16 = 0;

/// Why there are no random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The device could not be started.
    Start(reflex_virtio_bus::Error),
    /// The device is no entropy source.
    OtherDevice,
    /// The device did not answer before the deadline.
    Silent,
    /// The device broke its contract: an answer nobody asked for, empty or too long.
    BadAnswer,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "the entropy device could not be started: {error}"),
            Self::OtherDevice => f.write_str("the device is no entropy source"),
            Self::Silent => f.write_str("the entropy device did not answer in time"),
            Self::BadAnswer => f.write_str("the entropy device broke its contract"),
        }
    }
}

impl core::error::Error for Error {}

impl From<reflex_virtio_bus::Error> for Error {
    fn from(error: reflex_virtio_bus::Error) -> Self {
        Self::Start(error)
    }
}

/// Fills `bytes` from the device, as long as `expired` says false. What is in `bytes` after an
/// error is not to be used.
///
/// # Errors
/// [`Error`].
pub fn fill<H: Hal, T: Queues>(
    mut device: T,
    bytes: &mut [u8],
    mut expired: impl FnMut() -> bool,
) -> Result<(), Error> {
    if device.device_type() != DeviceType::EntropySource {
        return Err(Error::OtherDevice);
    }
    start(&mut device, 0)?;
    let mut queue = Queue::<H>::new(&mut device, REQUESTS, 1)?;
    queue.suppress();
    let buffer = match Dma::<H>::new(PAGE_SIZE, BufferDirection::DeviceToDriver) {
        Ok(buffer) => buffer,
        Err(error) => {
            // SAFETY: the device was reset by `start`, and does not use its queues before `finish`,
            // which it has not come to (3.1.1).
            unsafe { queue.free() };
            return Err(error.into());
        }
    };
    finish(&mut device);
    let answered = bytes
        .chunks_mut(PAGE_SIZE)
        .try_for_each(|chunk| read(&mut queue, &buffer, chunk, &mut expired));
    device.set_status(DeviceStatus::empty());
    // A device that does not even come out of reset keeps the memory.
    if device.get_status() == DeviceStatus::empty() {
        // SAFETY: the device was reset, and says so.
        unsafe {
            queue.free();
            buffer.free();
        }
    }
    answered
}

/// Fills `chunk`, at most a page, with as many requests as the device needs for it.
fn read<H: Hal>(
    queue: &mut Queue<H>,
    buffer: &Dma<H>,
    chunk: &mut [u8],
    expired: &mut impl FnMut() -> bool,
) -> Result<(), Error> {
    let mut got = 0;
    while let Some(wanted) = chunk.get_mut(got..).filter(|wanted| !wanted.is_empty()) {
        // At most a page.
        let length = wanted.len() as u32;
        // SAFETY: slot 0 is the one there is, and not lent: each round takes it back, and
        // leaves if it cannot. The buffer has a page, and nobody reads it meanwhile.
        unsafe {
            queue.describe(0, buffer.physical(), length, BufferDirection::DeviceToDriver);
            queue.offer(0);
        }
        queue.notify();
        let used = loop {
            match queue.take().map_err(|_| Error::BadAnswer)? {
                Some(used) => break used,
                None if expired() => return Err(Error::Silent),
                None => core::hint::spin_loop(),
            }
        };
        if used.written == 0 || used.written > length {
            return Err(Error::BadAnswer);
        }
        let written = used.written as usize;
        // SAFETY: no more than `length` bytes, as was just checked, which `wanted` has and the
        // page, too. The device has returned the slot, so it is done with the page; that is DMA
        // memory, apart from `chunk`.
        unsafe {
            core::ptr::copy_nonoverlapping(buffer.memory().as_ptr(), wanted.as_mut_ptr(), written);
        }
        got += written;
    }
    Ok(())
}
