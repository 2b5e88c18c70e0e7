//! Requests: their order, their end, and where their memory is.

mod common;

use common::{Bench, bench, bench_of};
use reflex_block::{BlockError, Error, Failure, Options, Request};
use reflex_event::Priority;
use reflex_testkit::Medium;
use std::time::Duration;

fn small(depth: u16) -> Options {
    Options { depth, ..Options::default() }
}

#[test]
fn what_is_written_is_read_and_memory_comes_back() {
    let bench = bench(8);
    let disk = bench.open(small(8));
    let before = bench.taken();
    disk.submit(bench.write(1, 5, 0xaa)).unwrap();
    bench.settle();
    disk.submit(bench.read(2, 5)).unwrap();
    disk.submit(Request::flush().id(3)).unwrap();
    disk.submit(Request::discard(5, 1).id(4)).unwrap();
    bench.settle();
    let told = bench.told();
    let seen: Vec<_> = told.iter().map(|it| (it.id, it.result, it.first, it.memory)).collect();
    let ok = Ok(());
    assert_eq!(
        seen,
        [
            (1, ok, Some(0xaa), true),
            (2, ok, Some(0xaa), true),
            (3, ok, None, false),
            (4, ok, None, false)
        ]
    );
    assert_eq!((bench.taken(), bench.medium.flushes(), disk.room()), (before, 1, 8));
}

#[test]
fn a_partition_begins_at_its_own_sector_and_ends_at_its_last() {
    let bench = bench(8);
    let part = bench.open(Options { range: Some(10..12), ..Options::default() });
    part.submit(bench.write(1, 1, 0x11)).unwrap();
    bench.settle();
    assert_eq!(bench.medium.bytes(11, 1)[0], 0x11);
    let beyond = part.submit(bench.write(2, 2, 0x22)).unwrap_err();
    assert_eq!(beyond.error, Error::Disk(BlockError::OutOfRange));
    let far = part.submit(bench.read(3, u64::MAX)).unwrap_err();
    assert_eq!(far.error, Error::Disk(BlockError::OutOfRange));
    let two = Request::write(1, bench.memory(0, 1)).and(bench.memory(0, 1));
    assert!(part.submit(two).is_err(), "a second piece beyond the end");
    assert_eq!(part.info().unwrap().sectors, 2);
}

#[test]
fn without_a_place_a_request_comes_back_and_the_next_completion_tells_of_one() {
    let bench = bench(2);
    let disk = bench.open(small(3));
    for id in 0..3 {
        disk.submit(bench.read(id, id)).unwrap();
    }
    assert_eq!((disk.room(), bench.medium.pending()), (0, 2), "the device has what it can hold");
    let refused = disk.submit(bench.read(3, 3)).unwrap_err();
    assert_eq!(refused.error, Error::QueueFull);
    bench.medium.perform(1);
    bench.run();
    assert_eq!((bench.ids(), disk.room()), (vec![1], 1));
    disk.submit(refused.request).unwrap();
    bench.settle();
    assert_eq!(bench.ids(), [0, 2, 3]);
    assert_eq!(bench.device.counters().refused, 1);
}

#[test]
fn the_most_urgent_of_what_waits_is_next() {
    let bench = bench(1);
    let disk = bench.open(small(8));
    for (id, priority) in
        [(0, Priority::DEFAULT), (1, Priority::LOW), (2, Priority::HIGH), (3, Priority::HIGH)]
    {
        disk.submit(bench.read(id, id).priority(priority)).unwrap();
    }
    bench.settle();
    assert_eq!(bench.ids(), [0, 2, 3, 1]);
}

#[test]
fn several_are_told_of_by_one_notification() {
    let bench = bench(8);
    let disk = bench.open(small(4));
    let before = bench.device.counters().device.notifications;
    let requests: Vec<_> = (0..6).map(|id| bench.read(id, id)).collect();
    let (taken, refused) = disk.submit_all(requests);
    assert_eq!((taken, refused.map(|refused| refused.error)), (4, Some(Error::QueueFull)));
    assert_eq!(bench.device.counters().device.notifications, before + 1);
    bench.settle();
    assert_eq!(bench.ids(), [0, 1, 2, 3]);
}

fn at(bench: &Bench, seconds: u64) {
    bench.clock.set(reflex_event::Instant::from_nanos(seconds * 1_000_000_000));
    bench.kernel.fire_timers();
    bench.run();
}

#[test]
fn what_is_late_is_told_of_and_its_memory_comes_back_when_it_is_done() {
    let bench = bench(1);
    let disk = bench.open(small(4));
    let before = bench.taken();
    disk.submit(bench.read(1, 1).within(Duration::from_secs(5))).unwrap();
    disk.submit(bench.read(2, 2).within(Duration::from_secs(2))).unwrap();
    disk.submit(bench.read(3, 3)).unwrap();
    at(&bench, 1);
    assert_eq!(bench.ids(), []);
    at(&bench, 3);
    // It waited: it comes with its memory.
    let told = bench.told();
    assert_eq!((told[0].id, told[0].result, told[0].memory), (2, Err(Failure::TimedOut), true));
    at(&bench, 6);
    // The device has it, and may still write to its memory.
    let told = bench.told();
    assert_eq!((told[0].id, told[0].result, told[0].memory), (1, Err(Failure::TimedOut), false));
    assert_eq!(
        (bench.taken(), disk.room()),
        (before + 2, 2),
        "of those that are with the device and wait"
    );
    bench.medium.perform(0);
    bench.run();
    assert_eq!((bench.ids(), bench.taken()), (vec![], before + 1));
    // The usual time.
    at(&bench, 31);
    assert_eq!(bench.told()[0].result, Err(Failure::TimedOut));
    bench.settle();
    assert_eq!((bench.ids(), bench.taken(), disk.room()), (vec![], before, 4));
    assert_eq!(bench.device.counters().timed_out, 3);
}

#[test]
fn what_is_cancelled_is_told_of_once() {
    let bench = bench(1);
    let disk = bench.open(small(4));
    let before = bench.taken();
    let first = disk.submit(bench.read(1, 1)).unwrap();
    let second = disk.submit(bench.read(2, 2)).unwrap();
    disk.cancel(first).unwrap();
    disk.cancel(second).unwrap();
    assert_eq!(disk.cancel(second), Err(Error::Gone));
    bench.run();
    let cancelled = Err(Failure::Cancelled);
    let told: Vec<_> = bench.told().iter().map(|it| (it.id, it.result, it.memory)).collect();
    assert_eq!(told, [(1, cancelled, false), (2, cancelled, true)]);
    bench.settle();
    assert_eq!((bench.ids(), bench.taken()), (vec![], before));
    // Its place has another request now.
    disk.submit(bench.read(3, 3)).unwrap();
    assert_eq!((disk.cancel(first), disk.cancel(second)), (Err(Error::Gone), Err(Error::Gone)));
    bench.settle();
    assert_eq!(bench.ids(), [3]);
}

#[test]
fn failures_are_told_as_they_are() {
    let bench = bench(2);
    let disk = bench.open(small(8));
    for id in 0..4 {
        disk.submit(bench.read(id, id)).unwrap();
    }
    bench.medium.fail(0, BlockError::Medium);
    bench.run();
    assert_eq!(bench.told()[0].result, Err(Failure::Disk(BlockError::Medium)));
    bench.medium.break_down();
    bench.run();
    // What the device had, and what waited for it.
    let told = bench.told();
    assert_eq!(told.len(), 3);
    let failed = Err(Failure::Disk(BlockError::DeviceFailed));
    assert!(told.iter().all(|told| told.result == failed && told.memory));
    disk.submit(bench.read(9, 9)).unwrap();
    bench.run();
    assert_eq!(bench.told()[0].result, failed);
}

#[test]
fn what_cannot_be_is_refused_before_it_waits() {
    let medium = Medium::new(64, 4);
    medium.describe(|info| (info.block, info.most_discarded) = (1024, 0));
    let bench = bench_of(medium);
    let error = |options| bench.try_open(options).err();
    assert_eq!(error(small(0)), Some(Error::BadDepth));
    assert_eq!(error(small(1025)), Some(Error::BadDepth));
    for range in [0..0, 0..65, 1..4, 2..5, u64::MAX - 1..u64::MAX] {
        let options = Options { range: Some(range), ..Options::default() };
        assert_eq!(error(options), Some(Error::BadRange));
    }
    let disk = bench.open(Options { read_only: true, ..Options::default() });
    let refusal = |request| disk.submit(request).map_err(|refused| refused.error);
    let disk_error = |error| Err(Error::Disk(error));
    assert_eq!(refusal(Request::write(0, bench.memory(0, 2))), disk_error(BlockError::ReadOnly));
    assert_eq!(refusal(bench.read(0, 0)), disk_error(BlockError::Unaligned));
    assert_eq!(
        refusal(Request::read(0, bench.memory(0, 2)).prefix(0)),
        disk_error(BlockError::Empty)
    );
}
