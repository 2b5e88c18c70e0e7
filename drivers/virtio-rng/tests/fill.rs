//! An entropy device that answers, lies, or is silent. It acts whenever the driver asks whether
//! its time is up.

use reflex_virtio_fake::{DeviceRing, FakeDevice, HostHal};
use reflex_virtio_rng::{Error, fill};
use virtio_drivers::transport::DeviceType;

fn device() -> FakeDevice {
    FakeDevice::new(DeviceType::EntropySource, 1 << 28 | 1 << 29, &[], 1, 64)
}

/// Fills `length` bytes while `act` plays the device; each call of it is a look at the clock.
fn run(
    length: usize,
    mut act: impl FnMut(&mut DeviceRing) -> bool,
) -> (Result<(), Error>, Vec<u8>, FakeDevice) {
    let device = device();
    let (mut bytes, mut ring) = (vec![0; length], None);
    let handle = device.clone();
    let result = fill::<HostHal, _>(device.clone(), &mut bytes, || {
        act(ring.get_or_insert_with(|| handle.ring(0)))
    });
    (result, bytes, device)
}

/// Answers with at most `most` bytes, counted on from `next`.
fn answer(ring: &mut DeviceRing, most: usize, next: &mut u8) {
    let buffer = ring.take().expect("a request");
    let bytes: Vec<_> = (0..most.min(buffer.length as usize))
        .map(|_| {
            *next = next.wrapping_add(1);
            *next
        })
        .collect();
    buffer.write(&bytes);
    ring.finish(buffer.id.into(), bytes.len() as u32);
}

#[test]
fn bytes_come_in_as_many_answers_as_the_device_likes() {
    for most in [1, 7, 64, 4096, 10_000] {
        let mut next = 0;
        let (result, bytes, device) = run(5000, |ring| {
            answer(ring, most, &mut next);
            false
        });
        assert_eq!(result, Ok(()));
        let expected: Vec<_> = (1..=5000).map(|n| n as u8).collect();
        assert_eq!(bytes, expected);
        assert!(!device.is_running() && device.resets() == 2, "reset before and after");
        assert_eq!(device.accepted(), 1 << 32);
        assert!(device.was_rung(0));
    }
}

#[test]
fn nothing_is_asked_for_nothing() {
    let (result, _, device) = run(0, |_| panic!("there is nothing to wait for"));
    assert_eq!(result, Ok(()));
    assert!(!device.was_rung(0));
}

#[test]
fn a_silent_device_is_given_up_at_the_deadline() {
    let mut looks = 0;
    let (result, _, device) = run(32, |_| {
        looks += 1;
        looks == 1000
    });
    assert_eq!((result, looks), (Err(Error::Silent), 1000));
    assert!(!device.is_running());
}

#[test]
fn a_lying_device_is_refused() {
    for (id, written) in [(0, 0), (0, 33), (0, u32::MAX), (1, 32), (u32::MAX, 32)] {
        let (result, _, device) = run(32, |ring| {
            ring.finish(id, written);
            false
        });
        assert_eq!(result, Err(Error::BadAnswer), "id {id}, {written} bytes");
        assert!(!device.is_running());
    }
}

#[test]
fn other_devices_and_old_ones_are_refused() {
    let start = |device| fill::<HostHal, _>(device, &mut [0; 4], || true);
    let block = FakeDevice::new(DeviceType::Block, 0, &[], 1, 64);
    assert_eq!(start(block), Err(Error::OtherDevice));
    assert!(matches!(start(device().legacy()), Err(Error::Start(_))));
    assert!(matches!(start(device().hanging_in_reset()), Err(Error::Start(_))));
}
