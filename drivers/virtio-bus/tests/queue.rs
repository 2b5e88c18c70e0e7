//! A queue's making, and its memory. What it does between driver and device is tested with the
//! drivers.

use reflex_virtio_bus::{Broken, Error, Queue, Used, finish, start};
use reflex_virtio_fake::{FakeDevice, HostHal};
use virtio_drivers::BufferDirection::DeviceToDriver;
use virtio_drivers::transport::DeviceType;

fn started(most: u32) -> FakeDevice {
    let mut device = FakeDevice::new(DeviceType::Network, 0, &[], 1, most);
    start(&mut device, 0).expect("it starts");
    device
}

#[test]
fn sizes_are_powers_of_two_the_device_has() {
    let size = |size, most| Queue::<HostHal>::new(&mut started(most), 0, size).map(|q| q.size());
    for log in 0..16 {
        assert_eq!(size(1 << log, 32768), Ok(1 << log));
    }
    assert_eq!(size(0, 256), Err(Error::QueueSize));
    assert_eq!(size(3, 256), Err(Error::QueueSize));
    assert_eq!(size(512, 256), Err(Error::QueueSize));
    assert_eq!(size(1, 0), Err(Error::NoQueue));
    let missing = Queue::<HostHal>::new(&mut started(1), 1, 1);
    assert_eq!(missing.err(), Some(Error::NoQueue));
}

#[test]
fn the_largest_queue_can_be_full_and_empty() {
    let mut device = started(32768);
    let mut queue = Queue::<HostHal>::new(&mut device, 0, 32768).expect("a queue");
    finish(&mut device);
    let mut ring = device.ring(0);
    for round in 0..3 {
        for slot in 0..32768 {
            // SAFETY: all slots are ours at the start of a round, each is offered once, and the
            // device of this test writes to none.
            unsafe {
                queue.describe(slot, u64::from(slot) + 1, 7, DeviceToDriver);
                queue.offer(slot);
            }
        }
        assert!(queue.notify());
        assert_eq!(ring.waiting(), 32768);
        // Returned in another order than they were offered in.
        let buffers: Vec<_> = std::iter::from_fn(|| ring.take()).collect();
        for buffer in buffers.iter().rev() {
            assert_eq!((buffer.address, buffer.length), (u64::from(buffer.id) + 1, 7));
            ring.write_used(buffer.id.into(), round);
        }
        ring.show_used();
        for slot in (0..32768).rev() {
            assert_eq!(queue.take(), Ok(Some(Used { slot, written: round })));
        }
        assert_eq!(queue.take(), Ok(None));
    }
    ring.finish(0, 0);
    assert_eq!(queue.take(), Err(Broken));
    assert_eq!(queue.take(), Err(Broken));
    // SAFETY: the device of this test touches its rings no more.
    unsafe { queue.free() };
}
