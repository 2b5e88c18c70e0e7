//! A device that breaks its contract: the request fails, or the device is stopped and everything comes back.
//! Never is there a panic, a request that is answered twice, or memory that two own.

mod common;

use common::{ALL, Bench, USUAL, answer, bench, flush};
use proptest::prelude::*;
use reflex_hil::{Block, BlockError};
use reflex_virtio_fake::pool_in_use;

/// Has the device take `count` reads of a sector.
fn reads(bench: &mut Bench, count: u64) {
    for tag in 0..count {
        let read = bench.read(tag, tag, 1);
        bench.disk.submit(read).expect("there is room");
    }
    bench.disk.notify();
    bench.device.take();
}

#[test]
fn statuses_and_lengths_are_checked() {
    let medium = Err(BlockError::Medium);
    let bad = Err(BlockError::BadAnswer);
    let cases = [
        (0, 513, Ok(())),
        // Not all was written that was read.
        (0, 0, bad),
        (0, 511, bad),
        // More than there is room for.
        (0, 514, bad),
        (0, u32::MAX, bad),
        (1, 513, medium),
        (1, 1, medium),
        (1, 514, bad),
        (2, 513, Err(BlockError::Unsupported)),
        (3, 513, bad),
        // As if it had not been written.
        (0xff, 513, bad),
    ];
    for (status, written, expected) in cases {
        let mut bench = bench(ALL, USUAL, 4);
        reads(&mut bench, 1);
        let chain = bench.device.taken.remove(0);
        answer(&mut bench.device.ring, &chain, status, written);
        let done = bench.drain();
        assert_eq!((done.len(), done[0].result), (1, expected), "{status} {written}");
        assert!(done[0].memory[0].is_some(), "the memory comes back");
        assert_eq!(bench.disk.counters().device_errors, u64::from(expected == bad));
    }
    // Of a flush the length says nothing, as long as there is room for it.
    for (written, expected) in [(0, Ok(())), (1, Ok(())), (2, bad)] {
        let mut bench = bench(ALL, USUAL, 4);
        bench.disk.submit(flush(1)).expect("there is room");
        bench.disk.notify();
        bench.device.take();
        let chain = bench.device.taken.remove(0);
        answer(&mut bench.device.ring, &chain, 0, written);
        assert_eq!(bench.drain()[0].result, expected);
    }
}

/// All that was in flight comes back once, and nothing is taken any more.
fn assert_stopped(bench: &mut Bench, in_flight: usize) {
    let done = bench.drain();
    assert_eq!(done.len(), in_flight);
    let mut tags: Vec<_> = done.iter().map(|done| done.tag).collect();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), in_flight);
    assert!(done.iter().all(|done| done.result == Err(BlockError::DeviceFailed)));
    drop(done);
    assert_eq!(pool_in_use(bench.pool), 0);
    assert!(!bench.handle.is_running(), "it was reset");
    assert!(!bench.disk.enable(), "there is nothing to go on with");
    let (error, _) = bench.disk.submit(flush(9)).expect_err("it is stopped");
    assert_eq!(error, BlockError::DeviceFailed);
    assert_eq!(bench.disk.counters().device_errors, 1);
}

#[test]
fn an_id_that_was_not_lent_stops_the_device() {
    // Another descriptor of a request, one of a slot that is free, no descriptor at all.
    for id in [1, 3, 8, 12, 16, 0x1_0000, u32::MAX] {
        let mut bench = bench(ALL, USUAL, 4);
        reads(&mut bench, 2);
        bench.device.ring.finish(id, 513);
        assert_stopped(&mut bench, 2);
    }
}

#[test]
fn an_id_twice_stops_the_device() {
    let mut bench = bench(ALL, USUAL, 4);
    reads(&mut bench, 3);
    let chain = bench.device.taken.remove(1);
    bench.device.ring.write_used(chain[0].id.into(), 513);
    bench.device.ring.write_used(chain[0].id.into(), 513);
    chain[2].write(&[0]);
    bench.device.ring.show_used();
    let first = bench.disk.next().expect("the first is good");
    assert_eq!((first.tag, first.result), (1, Ok(())));
    drop(first);
    assert_stopped(&mut bench, 2);
}

#[test]
fn an_index_that_runs_ahead_stops_the_device() {
    for ahead in [2, 6, 0x8000, 0xffff] {
        let mut bench = bench(ALL, USUAL, 4);
        // One element was used for the name.
        reads(&mut bench, 0);
        bench.device.ring.set_used_index(ahead);
        assert_stopped(&mut bench, 0);
    }
}

#[test]
fn memory_stays_where_it_is_when_a_device_does_not_even_come_out_of_its_reset() {
    let mut bench = bench(ALL, USUAL, 4);
    reads(&mut bench, 2);
    bench.handle = bench.handle.hanging_in_reset();
    bench.device.ring.finish(1, 513);
    let done = bench.drain();
    assert_eq!(done.len(), 2);
    assert!(done.iter().all(|done| done.result == Err(BlockError::DeviceFailed)));
    assert!(done.iter().all(|done| done.memory.iter().all(Option::is_none)));
    drop(done);
    assert_eq!(pool_in_use(bench.pool), 2, "the device may still write there");
}

#[derive(Clone, Debug)]
enum Step {
    Read(u64),
    Flush,
    Perform(usize),
    Used { id: u32, written: u32 },
    Status { which: usize, status: u8, written: u32 },
    Index(u16),
    Next,
    Enable,
}

fn step() -> impl Strategy<Value = Step> {
    let written = || prop_oneof![0u32..1100, any::<u32>()];
    prop_oneof![
        4 => (0u64..60).prop_map(Step::Read),
        1 => Just(Step::Flush),
        3 => any::<usize>().prop_map(Step::Perform),
        1 => (prop_oneof![0u32..40, any::<u32>()], written())
            .prop_map(|(id, written)| Step::Used { id, written }),
        2 => (any::<usize>(), any::<u8>(), written())
            .prop_map(|(which, status, written)| Step::Status { which, status, written }),
        1 => prop_oneof![0u16..20, any::<u16>()].prop_map(Step::Index),
        4 => Just(Step::Next),
        1 => Just(Step::Enable),
    ]
}

proptest! {
    #[test]
    fn whatever_the_device_says_each_request_is_answered_once_and_memory_has_one_owner(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut bench = bench(ALL, USUAL, 4);
        bench.device.ring.lie();
        let mut flying = std::collections::BTreeMap::new();
        for (tag, step) in (0u64..).zip(steps) {
            bench.disk.notify();
            if bench.handle.is_running() {
                bench.device.take();
            }
            let count = bench.device.taken.len();
            match step {
                Step::Read(sector) => {
                    let request = bench.read(tag, sector, 1);
                    if bench.disk.submit(request).is_ok() {
                        flying.insert(tag, 1);
                    }
                }
                Step::Flush => {
                    if bench.disk.submit(flush(tag)).is_ok() {
                        flying.insert(tag, 0);
                    }
                }
                // A device that was reset does nothing.
                _ if !bench.handle.is_running() && !matches!(step, Step::Next | Step::Enable) => {}
                Step::Perform(which) if count > 0 => _ = bench.device.perform(which % count),
                Step::Perform(_) => {}
                Step::Used { id, written } => _ = bench.device.ring.finish(id, written),
                Step::Status { which, status, written } => {
                    if count > 0 {
                        let chain = bench.device.taken.remove(which % count);
                        answer(&mut bench.device.ring, &chain, status, written);
                    }
                }
                Step::Index(index) => bench.device.ring.set_used_index(index),
                Step::Next => {
                    if let Some(done) = bench.disk.next() {
                        let pieces = flying.remove(&done.tag);
                        prop_assert_eq!(pieces, Some(done.memory.iter().flatten().count()));
                    }
                }
                Step::Enable => _ = bench.disk.enable(),
            }
            prop_assert!(flying.len() <= 4);
            prop_assert_eq!(pool_in_use(bench.pool), flying.values().sum::<usize>());
        }
    }
}
