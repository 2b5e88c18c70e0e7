//! A device that keeps its contract.

mod common;

use common::{
    Bench, MAC, MAC_FEATURE, MTU_FEATURE, STATUS_FEATURE, bench, deliver, device, frame, rings,
};
use proptest::prelude::*;
use reflex_hil::{Acknowledge, NicError, Receive, Transmit};
use reflex_virtio_bus as bus;
use reflex_virtio_fake::{FakeDevice, HostHal, frames, pool_in_use};
use reflex_virtio_net::{Error, HEADER, Rings, open, receive_buffer};
use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use virtio_drivers::transport::DeviceType;

#[test]
fn frames_come_in_and_go_out_in_order() {
    let mut bench = bench(rings(8, 8), 8);
    assert!(bench.device.is_running());
    assert!(bench.device.was_rung(0), "the device is told of the receive buffers");
    assert_eq!(bench.info.mac, MAC);
    assert_eq!(bench.transmitter.mac(), MAC);
    assert_eq!((bench.info.mtu, bench.transmitter.mtu()), (1500, 1500));
    let sent: Vec<_> = (0..5).map(|n| frame(n, 60 + 300 * n as usize)).collect();
    sent.iter().for_each(|frame| assert!(bench.deliver(frame)));
    assert_eq!(bench.drain(), sent);
    sent.iter().for_each(|frame| bench.queue(frame).unwrap());
    assert_eq!(bench.transmit.waiting(), 0, "nothing is shown before the flush");
    bench.transmitter.flush();
    assert!(bench.device.was_rung(1));
    let out: Vec<_> = std::iter::from_fn(|| bench.send()).collect();
    assert_eq!(out, sent);
    let counters = bench.receiver.counters();
    assert_eq!((counters.frames, counters.device_errors, counters.no_buffer), (5, 0, 0));
    let counters = bench.transmitter.counters();
    assert_eq!((counters.frames, counters.device_errors, counters.notifications), (5, 0, 1));
}

/// The bounds of a frame have 16 bits: of longer buffers a part is used.
#[test]
fn a_frame_is_no_longer_than_its_bounds_can_say() {
    let mut bench = bench(Rings { buffer: 1 << 17, ..rings(1, 1) }, 255);
    let buffer = bench.receive.take().expect("a buffer");
    assert_eq!(buffer.length, 65_535);
    bench.receive.finish(buffer.id.into(), buffer.length);
    let frame = bench.receiver.next().expect("a frame");
    assert_eq!(frame.len(), 65_535 - HEADER);
}

#[test]
fn a_frame_stays_in_its_buffer_and_gives_it_back() {
    let mut bench = bench(rings(4, 4), 2);
    assert_eq!(pool_in_use(bench.pool), 4);
    bench.deliver(&frame(1, 64));
    let kept = bench.receiver.next().expect("a frame");
    assert!(bench.pool.contains(kept.as_ptr()), "the frame was copied out of the pool");
    assert_eq!(pool_in_use(bench.pool), 5, "its place in the ring has another buffer");
    assert_eq!(bench.receive.waiting(), 4);
    drop(kept);
    assert_eq!(pool_in_use(bench.pool), 4);
}

#[test]
fn notifications_are_batched_and_the_devices_flag_is_honoured() {
    let mut bench = bench(rings(4, 4), 4);
    bench.transmitter.flush();
    assert!(!bench.device.was_rung(1), "nothing was queued");
    bench.queue(&frame(0, 60)).unwrap();
    bench.queue(&frame(1, 60)).unwrap();
    bench.transmitter.flush();
    bench.transmitter.flush();
    assert!(bench.device.was_rung(1));
    assert_eq!(bench.transmitter.counters().notifications, 1);
    bench.transmit.want_notifications(false);
    bench.queue(&frame(2, 60)).unwrap();
    bench.transmitter.flush();
    assert!(!bench.device.was_rung(1));
    assert_eq!(bench.transmit.waiting(), 3, "shown, though not notified of");
    // The same for buffers that go back to the receive ring.
    assert!(bench.device.was_rung(0));
    bench.receive.want_notifications(false);
    bench.deliver(&frame(3, 60));
    assert_eq!(bench.drain().len(), 1);
    assert!(!bench.receiver.enable());
    assert!(!bench.device.was_rung(0));
    bench.receive.want_notifications(true);
    bench.deliver(&frame(4, 60));
    assert_eq!(bench.drain().len(), 1);
    assert!(!bench.receiver.enable());
    assert!(bench.device.was_rung(0));
}

#[test]
fn indices_run_over_with_rings_of_one_and_of_many() {
    for size in [1, 2, 256] {
        let mut bench = bench(rings(size, size), 1);
        for number in 0..70_000 {
            let sent = frame(number, 60);
            assert!(bench.deliver(&sent), "the ring ran dry");
            let got = bench.receiver.next().expect("a frame");
            assert_eq!(&got[..], &sent[..]);
            drop(got);
            assert!(bench.receiver.next().is_none());
            bench.queue(&sent).unwrap();
            bench.transmitter.flush();
            assert_eq!(bench.send().as_ref(), Some(&sent));
        }
        assert_eq!(bench.receiver.counters().device_errors, 0);
        assert_eq!(bench.transmitter.counters().device_errors, 0);
    }
}

#[test]
fn a_full_transmit_ring_says_so_and_interrupts_when_it_no_longer_is() {
    let mut bench = bench(rings(1, 2), 1);
    assert!(!bench.transmit.wants_interrupt(), "completions do not interrupt unasked");
    bench.queue(&frame(0, 60)).unwrap();
    bench.queue(&frame(1, 60)).unwrap();
    let mut called = false;
    let refused = bench.transmitter.transmit(60, &mut |_| called = true);
    assert_eq!((refused, called), (Err(NicError::TransmitFull), false));
    assert_eq!(bench.transmitter.available(), 0);
    assert!(!bench.transmitter.notify_when_available());
    assert_eq!(bench.transmit.waiting(), 2, "what is queued was shown, or nobody would send it");
    assert!(bench.transmit.wants_interrupt());
    assert_eq!(bench.send(), Some(frame(0, 60)));
    assert_eq!(bench.transmitter.available(), 1);
    assert!(!bench.transmit.wants_interrupt(), "one interrupt was asked for");
    bench.queue(&frame(2, 60)).unwrap();
    // Completed before it is asked: no interrupt is needed.
    assert_eq!(bench.send(), Some(frame(1, 60)));
    assert!(bench.transmitter.notify_when_available());
    assert!(!bench.transmit.wants_interrupt());
    // `transmit` takes completed buffers back by itself.
    bench.queue(&frame(3, 60)).unwrap();
    bench.transmitter.flush();
    assert_eq!((bench.send(), bench.send()), (Some(frame(2, 60)), Some(frame(3, 60))));
    bench.queue(&frame(4, 60)).unwrap();
}

#[test]
fn a_frame_longer_than_the_mtu_is_refused() {
    let mut bench = bench(rings(1, 1), 1);
    assert_eq!(bench.queue(&[0; 1515]), Err(NicError::TooLong));
    assert_eq!(bench.queue(&[7; 1514]), Ok(()));
    bench.transmitter.flush();
    assert_eq!(bench.send(), Some(vec![7; 1514]));
}

#[test]
fn a_frame_between_the_last_look_and_enable_is_not_lost() {
    let mut bench = bench(rings(4, 1), 4);
    bench.receiver.quiet().acknowledge();
    assert!(!bench.receive.wants_interrupt());
    assert!(bench.receiver.next().is_none());
    assert!(bench.deliver(&frame(1, 60)));
    assert!(bench.receiver.enable(), "a frame is waiting");
    assert!(!bench.receive.wants_interrupt(), "and the caller goes on undisturbed");
    assert_eq!(bench.drain(), [frame(1, 60)]);
    assert!(!bench.receiver.enable());
    assert!(bench.receive.wants_interrupt());
}

/// The device runs on a thread of its own and interrupts through a channel, as often as it may.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const FRAMES: u32 = 30_000;
    let mut bench = bench(rings(8, 1), 16);
    let (interrupt, interrupts) = mpsc::channel();
    let (device, mut ring) = (bench.device.clone(), bench.receive);
    let player = thread::spawn(move || {
        let mut number = 0;
        while number < FRAMES {
            match deliver(&mut ring, &frame(number, 60)) {
                Some(wanted) => {
                    number += 1;
                    if wanted {
                        interrupt.send(()).expect("the driver waits for all frames");
                    }
                }
                None => thread::yield_now(),
            }
        }
        (device, interrupt)
    });
    let mut next = 0;
    while next < FRAMES {
        let waited = interrupts.recv_timeout(Duration::from_secs(20));
        assert!(waited.is_ok(), "a wake-up was lost after {next} frames");
        bench.receiver.quiet().acknowledge();
        loop {
            while let Some(got) = bench.receiver.next() {
                assert_eq!(&got[..], &frame(next, 60)[..]);
                next += 1;
            }
            if !bench.receiver.enable() {
                break;
            }
        }
    }
    let (_device, _interrupt) = player.join().expect("the device's thread");
    assert_eq!(bench.receiver.counters().device_errors, 0);
}

/// The same for the sender that waits for room.
#[test]
fn no_room_is_overlooked_between_threads() {
    const FRAMES: u32 = 30_000;
    let mut bench = bench(rings(1, 2), 1);
    let (interrupt, interrupts) = mpsc::channel();
    let (device, mut ring) = (bench.device.clone(), bench.transmit);
    let player = thread::spawn(move || {
        let mut number = 0;
        while number < FRAMES {
            let Some(buffer) = ring.take() else {
                thread::yield_now();
                continue;
            };
            assert_eq!(buffer.read()[HEADER..], frame(number, 60));
            number += 1;
            if ring.finish(buffer.id.into(), 0) {
                interrupt.send(()).expect("the driver waits until all is sent");
            }
        }
        (device, interrupt)
    });
    for number in 0..FRAMES {
        let sent = frame(number, 60);
        let mut fill = |place: &mut [u8]| place.copy_from_slice(&sent);
        while bench.transmitter.transmit(60, &mut fill) == Err(NicError::TransmitFull) {
            if !bench.transmitter.notify_when_available() {
                let waited = interrupts.recv_timeout(Duration::from_secs(20));
                assert!(waited.is_ok(), "a wake-up was lost after {number} frames");
            }
        }
        bench.transmitter.flush();
    }
    let (_device, _interrupt) = player.join().expect("the device's thread");
    assert_eq!(bench.transmitter.counters().device_errors, 0);
}

#[test]
fn without_a_buffer_to_replace_it_a_frame_is_dropped_and_counted() {
    let mut bench = bench(rings(4, 1), 2);
    let kept: Vec<_> = (0..6)
        .filter_map(|number| {
            assert!(bench.deliver(&frame(number, 60)), "the ring ran dry");
            bench.receiver.next()
        })
        .collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(bench.receiver.counters().no_buffer, 4);
    assert_eq!(bench.receive.waiting(), 4);
    assert_eq!(&kept[1][..], &frame(1, 60)[..]);
    drop(kept);
    bench.deliver(&frame(9, 60));
    assert_eq!(bench.drain(), [frame(9, 60)]);
}

/// Buffers that do not come back are made up for by others, which are the device's and the stack's in turn
/// like those before.
#[test]
fn others_take_the_place_of_buffers_that_do_not_come_back() {
    let mut bench = bench(rings(4, 4), 2);
    let mut lost = Vec::new();
    for number in 0..2 {
        assert!(bench.deliver(&frame(number, 64)));
        lost.push(bench.receiver.next().expect("there are spare ones"));
    }
    assert!(bench.deliver(&frame(2, 64)));
    assert!(bench.receiver.next().is_none(), "nothing to replace it with");
    let more = frames(3);
    bench.receiver.add_buffers(more);
    for number in 0..50 {
        assert!(bench.deliver(&frame(number, 64)));
        let received = bench.receiver.next().expect("others are there");
        assert_eq!(*received, *frame(number, 64));
        let own = lost.iter().all(|lost| lost.as_ptr() != received.as_ptr());
        assert!(
            own && (bench.pool.contains(received.as_ptr()) || more.contains(received.as_ptr()))
        );
    }
    assert_eq!((pool_in_use(bench.pool), bench.receiver.counters().no_buffer), (6, 1));
    assert!(pool_in_use(more) <= 3);
}

#[test]
fn features_are_those_that_are_understood() {
    let all = !bus::VERSION_1;
    let pool = frames(4);
    let fake = device(all, 1400, 64);
    let (_receiver, transmitter, info) =
        open::<HostHal, _>(fake.clone(), pool, rings(2, 2)).expect("the device opens");
    let bus_features = bus::VERSION_1 | bus::ACCESS_PLATFORM;
    let understood = bus_features | MAC_FEATURE | MTU_FEATURE | STATUS_FEATURE;
    assert_eq!(fake.accepted(), understood);
    assert_eq!((info.mtu, transmitter.mtu(), info.link_up), (1400, 1400, true));
}

#[test]
fn an_mtu_beyond_the_buffers_or_below_ipv4_is_not_accepted() {
    for (mtu, expected, accepted) in
        [(9000, 1500, false), (2023, 1500, false), (2022, 2022, true), (67, 1500, false)]
    {
        let fake = device(MAC_FEATURE | MTU_FEATURE, mtu, 64);
        let (_receiver, _transmitter, info) =
            open::<HostHal, _>(fake.clone(), frames(1), rings(1, 1)).expect("the device opens");
        assert_eq!(info.mtu, expected);
        assert_eq!(fake.accepted() & MTU_FEATURE != 0, accepted, "MTU {mtu}");
    }
}

#[test]
fn buffers_hold_the_frames_that_the_device_offers() {
    for (mtu, features, expected) in [
        (1500, MAC_FEATURE, 2048),
        (9000, MAC_FEATURE, 2048),
        (1500, MAC_FEATURE | MTU_FEATURE, 2048),
        (4200, MAC_FEATURE | MTU_FEATURE, 8192),
        (9000, MAC_FEATURE | MTU_FEATURE, 16_384),
        (9001, MAC_FEATURE | MTU_FEATURE, 2048),
    ] {
        let mut fake = device(features, mtu, 64);
        assert_eq!(receive_buffer(&mut fake), Ok(expected), "MTU {mtu}");
    }
}

#[test]
fn rings_are_as_large_as_the_device_has() {
    let fake = device(MAC_FEATURE, 0, 24);
    let (_receiver, _transmitter, info) =
        open::<HostHal, _>(fake, frames(16), Rings::default()).expect("the device opens");
    assert_eq!(info.rings, rings(16, 16));
}

#[test]
fn a_device_that_cannot_be_opened_says_why_and_does_not_run() {
    let reason = |fake: FakeDevice| {
        let result = open::<HostHal, _>(fake.clone(), frames(4), rings(4, 4));
        assert_eq!(fake.is_running(), result.is_ok());
        result.err()
    };
    let start = |error| Some(Error::Start(error));
    let good = || device(MAC_FEATURE, 0, 64);
    assert_eq!(reason(good()), None);
    assert_eq!(reason(good().legacy()), start(bus::Error::NotModern));
    assert_eq!(reason(good().refusing_features()), start(bus::Error::FeaturesRefused));
    assert_eq!(reason(good().refusing_vector(1)), start(bus::Error::VectorRefused));
    assert_eq!(reason(good().hanging_in_reset()), start(bus::Error::ResetTimeout));
    assert_eq!(reason(good().restless()), start(bus::Error::Configuration));
    assert_eq!(reason(device(0, 0, 64)), Some(Error::NoAddress));
    assert_eq!(reason(device(MAC_FEATURE, 0, 0)), start(bus::Error::NoQueue));
    let other = FakeDevice::new(DeviceType::Block, MAC_FEATURE, &[0; 12], 2, 64);
    assert_eq!(reason(other), Some(Error::OtherDevice));
    let short = FakeDevice::new(DeviceType::Network, MAC_FEATURE, &MAC[..5], 2, 64);
    assert_eq!(reason(short), start(bus::Error::Configuration));
    let few = open::<HostHal, _>(good(), frames(3), rings(4, 4));
    assert_eq!(few.err(), Some(Error::TooFewFrames));
}

/// What happens, in any order.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Next,
    Release,
    Enable,
    Transmit(usize),
    Flush,
    Send,
    Await,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (14usize..1515).prop_map(Step::Deliver),
        4 => Just(Step::Next),
        2 => Just(Step::Release),
        1 => Just(Step::Enable),
        4 => (14usize..1515).prop_map(Step::Transmit),
        2 => Just(Step::Flush),
        3 => Just(Step::Send),
        1 => Just(Step::Await),
    ]
}

proptest! {
    #[test]
    fn any_interleaving_keeps_order_contents_and_buffers(
        steps in proptest::collection::vec(step(), 1..400),
        receive in 0u32..4,
        transmit in 0u32..4,
        spare in 0usize..4,
    ) {
        let (receive, transmit) = (1u16 << receive, 1u16 << transmit);
        let mut bench: Bench = bench(rings(receive, transmit), spare);
        let mut number = 0;
        let mut on_the_wire = VecDeque::new();
        let mut kept = VecDeque::new();
        let mut queued = VecDeque::new();
        // Frames the device has sent that the driver has not seen it send, at most.
        let mut in_flight = 0usize;
        for step in steps {
            number += 1;
            match step {
                Step::Deliver(length) => {
                    let sent = frame(number, length);
                    prop_assert_eq!(
                        bench.deliver(&sent),
                        on_the_wire.len() < usize::from(receive)
                    );
                    if on_the_wire.len() < usize::from(receive) {
                        on_the_wire.push_back(sent);
                    }
                }
                Step::Next => match bench.receiver.next() {
                    Some(got) => {
                        let sent = on_the_wire.pop_front().expect("a frame nobody sent");
                        prop_assert_eq!(&got[..], &sent[..]);
                        kept.push_back((got, sent));
                    }
                    None => {
                        prop_assert!(on_the_wire.is_empty() || kept.len() == spare);
                        on_the_wire.clear();
                    }
                },
                Step::Release => drop(kept.pop_front()),
                Step::Enable => {
                    prop_assert_eq!(bench.receiver.enable(), !on_the_wire.is_empty());
                    prop_assert_eq!(bench.receive.wants_interrupt(), on_the_wire.is_empty());
                }
                Step::Transmit(length) => {
                    let sent = frame(number, length);
                    match bench.queue(&sent) {
                        Ok(()) => {
                            in_flight += 1;
                            queued.push_back(sent);
                        }
                        Err(error) => {
                            prop_assert_eq!(error, NicError::TransmitFull);
                            prop_assert_eq!(in_flight, usize::from(transmit));
                        }
                    }
                }
                Step::Flush => bench.transmitter.flush(),
                Step::Send => {
                    if let Some(sent) = bench.send() {
                        in_flight -= 1;
                        prop_assert_eq!(Some(sent), queued.pop_front());
                    }
                }
                Step::Await => {
                    let free = bench.transmitter.notify_when_available();
                    prop_assert_eq!(free, in_flight < usize::from(transmit));
                    prop_assert_eq!(bench.transmit.wants_interrupt(), !free);
                }
            }
            // Frames that were handed over are not written to any more.
            for (got, sent) in &kept {
                prop_assert_eq!(&got[..], &sent[..]);
            }
            prop_assert_eq!(pool_in_use(bench.pool), usize::from(receive) + kept.len());
        }
        prop_assert_eq!(bench.transmitter.available(), usize::from(transmit) - in_flight);
        prop_assert_eq!(bench.receiver.counters().device_errors, 0);
        prop_assert_eq!(bench.transmitter.counters().device_errors, 0);
    }
}
