//! A queue's making, its memory, and what it keeps from the device until it is published. The rest of
//! what it does between driver and device is tested with the drivers.

use proptest::prelude::*;
use reflex_virtio_bus::{ACCESS_PLATFORM, Broken, Error, Queue, Used, VERSION_1, finish, start};
use reflex_virtio_fake::{DeviceRing, FakeDevice, HostHal};
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

/// A queue and its device's side of it.
fn queue(size: u16) -> (Queue<HostHal>, DeviceRing) {
    let mut device = started(size.into());
    let queue = Queue::<HostHal>::new(&mut device, 0, size).expect("a queue");
    finish(&mut device);
    (queue, device.ring(0))
}

/// Offers a slot that is ours.
fn offer(queue: &mut Queue<HostHal>, slot: u16) {
    // SAFETY: the slot exists and is ours, say the callers, and the devices of these tests touch no
    // buffer.
    unsafe {
        queue.describe(slot, u64::from(slot) + 1, 7, DeviceToDriver);
        queue.offer(slot);
    }
}

/// The device would be given the slot by the next `publish`, while its buffer was somebody else's.
#[test]
fn a_slot_that_the_device_was_not_shown_cannot_come_back() {
    for (shown, returned) in [(1_u16, 1_u32), (2, 2), (2, 3), (3, 3)] {
        let (mut queue, mut ring) = queue(4);
        for slot in 0..shown {
            offer(&mut queue, slot);
        }
        queue.publish();
        for slot in shown..4 {
            offer(&mut queue, slot);
        }
        assert_eq!(ring.waiting(), shown);
        // As many as it was shown, so that the index says nothing.
        ring.lie();
        ring.finish(returned, 7);
        assert_eq!(queue.take(), Err(Broken), "{shown} shown, {returned} returned");
        assert_eq!(queue.take(), Err(Broken));
        // SAFETY: the device of this test touches its rings no more.
        unsafe { queue.free() };
    }
}

#[test]
fn what_is_offered_is_shown_when_it_is_published() {
    let (mut queue, mut ring) = queue(4);
    offer(&mut queue, 2);
    offer(&mut queue, 0);
    assert_eq!(ring.waiting(), 0);
    // Also when nothing is shown at all.
    assert_eq!(queue.take(), Ok(None));
    queue.publish();
    offer(&mut queue, 1);
    assert_eq!(ring.waiting(), 2);
    assert_eq!([ring.take(), ring.take()].map(|buffer| buffer.map(|it| it.id)), [Some(2), Some(0)]);
    assert_eq!(ring.take(), None);
    ring.finish(0, 7);
    assert_eq!(queue.take(), Ok(Some(Used { slot: 0, written: 7 })));
    // Notifying publishes too.
    assert!(queue.notify());
    assert_eq!(ring.take().map(|buffer| buffer.id), Some(1));
    // SAFETY: the device of this test touches its rings no more.
    unsafe { queue.free() };
}

/// The 16-bit indices run over many times while the device keeps a slot.
#[test]
fn a_slot_that_is_kept_for_long_may_come_back_at_last() {
    let (mut queue, mut ring) = queue(2);
    offer(&mut queue, 1);
    queue.publish();
    assert_eq!(ring.take().map(|buffer| buffer.id), Some(1));
    for round in 0..200_000 {
        offer(&mut queue, 0);
        queue.publish();
        assert_eq!(ring.take().map(|buffer| buffer.id), Some(0), "{round}");
        ring.finish(0, round);
        assert_eq!(queue.take(), Ok(Some(Used { slot: 0, written: round })));
    }
    offer(&mut queue, 0);
    ring.finish(1, 5);
    assert_eq!(queue.take(), Ok(Some(Used { slot: 1, written: 5 })));
    // SAFETY: the device of this test touches its rings no more.
    unsafe { queue.free() };
}

#[derive(Clone, Debug)]
enum Step {
    /// The driver offers one of its own slots.
    Offer(usize),
    Publish,
    /// The device works on what it is shown.
    Serve,
    /// The device returns one of those it has worked on.
    Return(usize),
    /// The device returns a slot it was not shown, or has returned.
    Lie(usize),
    /// The driver takes what has come back.
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..8).prop_map(Step::Offer),
        2 => Just(Step::Publish),
        2 => Just(Step::Serve),
        3 => (0usize..8).prop_map(Step::Return),
        1 => (0usize..8).prop_map(Step::Lie),
        3 => Just(Step::Take),
    ]
}

proptest! {
    /// Against a model: each slot is the driver's, offered, shown, or returned by the device.
    #[test]
    fn only_what_was_shown_comes_back(steps in prop::collection::vec(step(), 0..200)) {
        const SIZE: u16 = 8;
        let (mut queue, mut ring) = queue(SIZE);
        let mut ours: Vec<u16> = (0..SIZE).collect();
        let (mut offered, mut shown, mut served) = (Vec::new(), Vec::new(), Vec::new());
        // What the device has returned and the driver has not taken.
        let mut used: Vec<u16> = Vec::new();
        for step in steps {
            match step {
                Step::Offer(which) if !ours.is_empty() => {
                    let slot = ours.remove(which % ours.len());
                    offer(&mut queue, slot);
                    offered.push(slot);
                }
                Step::Publish => {
                    queue.publish();
                    shown.append(&mut offered);
                }
                Step::Serve => {
                    while let Some(buffer) = ring.take() {
                        prop_assert_eq!(buffer.id, shown.remove(0));
                        served.push(buffer.id);
                    }
                    prop_assert!(shown.is_empty());
                }
                Step::Return(which) if !served.is_empty() => {
                    let slot = served.remove(which % served.len());
                    ring.finish(slot.into(), 1);
                    used.push(slot);
                }
                Step::Take => {
                    for slot in used.drain(..) {
                        prop_assert_eq!(queue.take(), Ok(Some(Used { slot, written: 1 })));
                        ours.push(slot);
                    }
                    prop_assert_eq!(queue.take(), Ok(None));
                }
                // Of those that are with the device one stays away, so that the index is possible.
                Step::Lie(which) if !(served.is_empty() && shown.is_empty()) => {
                    let hidden: Vec<u16> =
                        ours.iter().chain(&offered).chain(&used).copied().collect();
                    let Some(&slot) = hidden.get(which % hidden.len().max(1)) else { continue };
                    ring.lie();
                    ring.finish(slot.into(), 1);
                    for slot in used {
                        prop_assert_eq!(queue.take(), Ok(Some(Used { slot, written: 1 })));
                    }
                    prop_assert_eq!(queue.take(), Err(Broken));
                    prop_assert_eq!(queue.take(), Err(Broken));
                    break;
                }
                _ => {}
            }
        }
        // SAFETY: the device of this test touches its rings no more.
        unsafe { queue.free() };
    }
}

/// `iommu_platform=on`: a device that insists on the platform's access is used (6, bit 33).
#[test]
fn a_device_behind_the_platforms_access_is_accepted() {
    for (offered, expected) in [(0, 0), (ACCESS_PLATFORM, ACCESS_PLATFORM), (1 << 34 | 2, 0)] {
        let mut device = FakeDevice::new(DeviceType::Network, offered, &[], 1, 8);
        let features = start(&mut device, 0).expect("it starts");
        assert_eq!(features, expected | VERSION_1);
        assert_eq!(device.accepted(), features);
    }
}
