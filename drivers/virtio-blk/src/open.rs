//! From a device to a disk.

use crate::slots::{CHAIN, Frames};
use crate::{Disk, Error, configuration};
use reflex_hil::Serial;
use reflex_virtio_bus::{Queue, Queues, finish, start};
use virtio_drivers::Hal;
use virtio_drivers::transport::DeviceType;

/// The queue that every device has (5.2.2).
const REQUESTS: u16 = 0;
/// The largest queue there can be.
const MOST_DESCRIPTORS: u32 = 1 << 15;

/// Starts a block device, with at most `most` requests in flight: a power of two, or fewer if its queue has no
/// room for as many. Waits for the answer to the first one, in which it tells its name, until `expired` says so.
///
/// Interrupts are off until [`enable`](reflex_hil::Block::enable) is called.
///
/// # Errors
/// [`Error`]; the device is then reset.
pub fn open<H: Hal, T: Queues>(
    mut device: T,
    most: u16,
    expired: impl FnMut() -> bool,
) -> Result<Disk<H, T>, Error> {
    if device.device_type() != DeviceType::Block {
        return Err(Error::OtherDevice);
    }
    let features = start(&mut device, configuration::WANTED)?;
    let mut info = configuration::read(&device, features)?;
    let room = device.max_queue_size(REQUESTS).min(MOST_DESCRIPTORS);
    let wanted = u32::from(most.max(1)) * u32::from(CHAIN);
    let size = wanted.min(room).checked_ilog2().map_or(0, |log| 1u16 << log);
    let slots = size / CHAIN;
    if slots == 0 && room > 0 {
        return Err(Error::QueueTooSmall);
    }
    // From here on an error resets the device by dropping it: the queue's memory is leaked, for nobody will try
    // again.
    let mut queue = Queue::<H>::new(&mut device, REQUESTS, size)?;
    queue.suppress();
    let frames = Frames::new(slots)?;
    info.in_flight = slots;
    finish(&mut device);
    let mut disk = Disk::new(queue, frames, info, device);
    let name = disk.name(expired)?;
    disk.set_serial(Serial::new(name));
    Ok(disk)
}
