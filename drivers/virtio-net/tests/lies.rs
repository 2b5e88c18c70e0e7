//! A device that breaks its contract: it is counted and stopped, or the frame is dropped. Never
//! is there a panic, a frame out of nothing, or a buffer that two own.

mod common;

use common::{Bench, bench, frame, rings};
use proptest::prelude::*;
use reflex_hil::{NicError, Receive, Transmit};
use reflex_virtio_fake::pool_in_use;
use reflex_virtio_net::HEADER;

/// The receive queue has been stopped for good, and says so once.
fn assert_stopped(bench: &mut Bench) {
    assert!(bench.receiver.next().is_none());
    assert!(bench.receiver.next().is_none());
    assert!(!bench.receiver.enable(), "there is nothing to go on with");
    assert!(!bench.receive.wants_interrupt(), "a stopped queue asks for no interrupts");
    assert_eq!(bench.receiver.counters().device_errors, 1);
    assert_eq!(pool_in_use(bench.pool), usize::from(bench.info.rings.receive));
}

#[test]
fn an_id_that_is_no_slot_stops_the_queue() {
    for id in [4, 0x1_0000, 0x1_0001, u32::MAX] {
        let mut bench = bench(rings(4, 4), 4);
        bench.receive.take().expect("a buffer");
        bench.receive.finish(id, 64);
        assert_stopped(&mut bench);
    }
}

#[test]
fn an_id_twice_is_two_frames_in_two_buffers() {
    let mut bench = bench(rings(4, 4), 4);
    let buffer = bench.receive.take().expect("a buffer");
    bench.receive.take().expect("a buffer");
    buffer.write(&[1; 80]);
    bench.receive.write_used(buffer.id.into(), 80);
    bench.receive.finish(buffer.id.into(), 80);
    let first = bench.receiver.next().expect("the first is good");
    assert_eq!(first[..], [1; 80 - HEADER]);
    // Its slot has been lent again by now, so that the second is a frame too, of a buffer the
    // device does own: only its contents are in doubt.
    let second = bench.receiver.next().expect("the slot was lent");
    assert_ne!(first.as_ptr(), second.as_ptr(), "one buffer has two owners");
    drop((first, second));
    assert_eq!(pool_in_use(bench.pool), 4);
}

#[test]
fn a_transmit_id_twice_stops_the_queue() {
    let mut bench = bench(rings(4, 4), 4);
    for number in 0..3 {
        bench.queue(&frame(number, 60)).unwrap();
    }
    bench.transmitter.flush();
    let sent = bench.transmit.take().expect("a frame");
    bench.transmit.write_used(sent.id.into(), 0);
    bench.transmit.finish(sent.id.into(), 0);
    assert_eq!(bench.transmitter.available(), 0);
    assert_eq!(bench.queue(&frame(9, 60)), Err(NicError::DeviceFailed));
    assert_eq!(bench.transmitter.counters().device_errors, 1);
    assert!(bench.transmitter.notify_when_available(), "no interrupt would come");
    assert!(!bench.transmit.wants_interrupt());
}

#[test]
fn a_transmit_id_that_is_free_or_no_slot_stops_the_queue() {
    for id in [1, 3, 4, 0x1_0000, u32::MAX] {
        let mut bench = bench(rings(4, 4), 4);
        bench.queue(&frame(0, 60)).unwrap();
        bench.transmitter.flush();
        assert_eq!(bench.transmit.take().expect("a frame").id, 0);
        bench.transmit.finish(id, 0);
        assert_eq!(bench.transmitter.available(), 0, "id {id}");
        assert_eq!(bench.queue(&frame(1, 60)), Err(NicError::DeviceFailed));
    }
}

#[test]
fn an_index_that_runs_ahead_stops_the_queue() {
    for ahead in [5, 6, 0x7fff, 0x8000, 0xffff] {
        let mut bench = bench(rings(4, 4), 4);
        bench.receive.set_used_index(ahead);
        assert_stopped(&mut bench);
    }
    // On the transmit side nothing is lent yet: any index is one too many.
    let mut bench = bench(rings(4, 4), 4);
    bench.transmit.set_used_index(1);
    assert_eq!(bench.transmitter.available(), 0);
    assert_eq!(bench.queue(&frame(0, 60)), Err(NicError::DeviceFailed));
}

#[test]
fn an_index_that_goes_back_stops_the_queue() {
    let mut bench = bench(rings(4, 4), 4);
    for number in 0..3 {
        assert!(bench.deliver(&frame(number, 60)));
    }
    assert_eq!(bench.drain().len(), 3);
    bench.receive.set_used_index(1);
    assert_stopped(&mut bench);
}

#[test]
fn a_length_that_cannot_be_drops_the_frame_and_no_more() {
    let mut bench = bench(rings(4, 4), 4);
    for length in [0, 1, HEADER as u32 - 1, 2049, 0x1_0000 + 64, u32::MAX] {
        let buffer = bench.receive.take().expect("the ring is never dry");
        bench.receive.finish(buffer.id.into(), length);
        assert!(bench.receiver.next().is_none());
    }
    assert_eq!(bench.receiver.counters().device_errors, 6);
    assert_eq!(bench.receive.waiting(), 4);
    bench.deliver(&frame(7, 60));
    assert_eq!(bench.drain(), [frame(7, 60)]);
    // The least and the most there can be.
    for length in [HEADER, 2048] {
        let buffer = bench.receive.take().expect("a buffer");
        bench.receive.finish(buffer.id.into(), length as u32);
        assert_eq!(bench.receiver.next().expect("a frame").len(), length - HEADER);
    }
}

#[test]
fn bad_frames_are_passed_over_and_the_ring_stays_full() {
    let mut bench = bench(rings(4, 4), 4);
    for _ in 0..3 {
        let buffer = bench.receive.take().expect("a buffer");
        bench.receive.finish(buffer.id.into(), 0);
    }
    bench.deliver(&frame(1, 60));
    assert_eq!(bench.drain(), [frame(1, 60)]);
    assert_eq!(bench.receiver.counters().device_errors, 3);
    assert_eq!(bench.receive.waiting(), 4);
}

/// A lying device, in any order with calls of the driver.
#[derive(Clone, Debug)]
enum Step {
    Used { receive: bool, id: u32, written: u32 },
    Index { receive: bool, index: u16 },
    Deliver,
    Send,
    Next,
    Enable,
    Transmit,
    Await,
}

fn step() -> impl Strategy<Value = Step> {
    let id = prop_oneof![0u32..10, any::<u32>()];
    let written = prop_oneof![0u32..2100, any::<u32>()];
    prop_oneof![
        (any::<bool>(), id, written).prop_map(|(receive, id, written)| Step::Used {
            receive,
            id,
            written
        }),
        (any::<bool>(), prop_oneof![0u16..20, any::<u16>()])
            .prop_map(|(receive, index)| Step::Index { receive, index }),
        Just(Step::Deliver),
        Just(Step::Send),
        Just(Step::Next),
        Just(Step::Enable),
        Just(Step::Transmit),
        Just(Step::Await),
    ]
}

proptest! {
    #[test]
    fn whatever_the_device_says_buffers_have_one_owner(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut bench = bench(rings(8, 8), 3);
        bench.receive.lie();
        bench.transmit.lie();
        let mut kept = Vec::new();
        for step in steps {
            let ring = |bench: &mut Bench, receive, act: &mut dyn FnMut(&mut _)| {
                act(if receive { &mut bench.receive } else { &mut bench.transmit });
            };
            match step {
                Step::Used { receive, id, written } => {
                    ring(&mut bench, receive, &mut |ring: &mut reflex_virtio_fake::DeviceRing| {
                        ring.finish(id, written);
                    });
                }
                Step::Index { receive, index } => {
                    ring(&mut bench, receive, &mut |ring: &mut reflex_virtio_fake::DeviceRing| {
                        ring.set_used_index(index);
                    });
                }
                Step::Deliver => _ = bench.deliver(&frame(1, 60)),
                Step::Send => _ = bench.send(),
                Step::Next => kept.extend(bench.receiver.next()),
                Step::Enable => _ = bench.receiver.enable(),
                Step::Transmit => {
                    _ = bench.queue(&frame(2, 60));
                    bench.transmitter.flush();
                }
                Step::Await => _ = bench.transmitter.notify_when_available(),
            }
            prop_assert_eq!(pool_in_use(bench.pool), 8 + kept.len());
            let mut owners: Vec<_> = kept.iter().map(|frame| frame.as_ptr() as usize / 2048).collect();
            owners.sort_unstable();
            owners.dedup();
            prop_assert_eq!(owners.len(), kept.len(), "a buffer has two owners");
            prop_assert!(bench.transmitter.available() <= 8);
        }
    }
}
