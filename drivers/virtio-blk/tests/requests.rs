//! An honest device: requests in any order, and what is refused before it sees it.

mod common;

use common::{ALL, BLK_SIZE, Bench, Configuration, MOST_DISCARDED, NAME, RO, SECTORS, USUAL};
use common::{bench, device, discard, flush, opened, opened_by, request};
use proptest::prelude::*;
use reflex_hil::{Block, BlockError, BlockOperation, SECTOR};
use reflex_virtio_blk::Error;
use reflex_virtio_fake::{FakeDevice, pool_in_use};
use virtio_drivers::transport::DeviceType;

#[test]
fn what_a_device_is_like_is_read() {
    let info = *bench(ALL, USUAL, 4).disk.info();
    assert_eq!((info.sectors, info.block, info.physical_block), (SECTORS, 512, 4096));
    assert_eq!((info.optimal, info.read_only, info.volatile_cache), (8192, false, true));
    assert_eq!((info.most_discarded, info.pieces, info.most_bytes), (MOST_DISCARDED, 2, 4096));
    assert_eq!((info.in_flight, info.serial.as_str()), (4, NAME));
    // Without features nothing but the capacity is looked at.
    let info = *bench(RO, USUAL, 4).disk.info();
    assert_eq!((info.block, info.physical_block, info.optimal), (512, 512, 0));
    assert_eq!((info.read_only, info.volatile_cache, info.most_discarded), (true, false, 0));
    assert_eq!((info.pieces, info.most_bytes), (2, u32::MAX));
    // Half a block at the end is none; discards that would not be aligned are not offered.
    let odd =
        Configuration { sectors: 63, block: 4096, discard_alignment: 64, seg_max: 1, ..USUAL };
    let info = *bench(ALL, odd, 4).disk.info();
    assert_eq!((info.sectors, info.most_discarded, info.pieces), (56, 0, 1));
}

#[test]
fn a_device_that_cannot_be_used_is_refused() {
    let reason = |device: &FakeDevice| opened(device, 4).0.err();
    for block in [0, 3, 256, 513, 1 << 22] {
        let odd = Configuration { block, ..USUAL };
        assert_eq!(reason(&device(ALL, odd, 64)), Some(Error::BlockSize), "{block}");
    }
    assert_eq!(reason(&device(ALL, USUAL, 2)), Some(Error::QueueTooSmall));
    let start = |error| Some(Error::Start(error));
    assert_eq!(reason(&device(ALL, USUAL, 0)), start(reflex_virtio_bus::Error::NoQueue));
    let restless = device(ALL, USUAL, 64).restless();
    assert_eq!(reason(&restless), start(reflex_virtio_bus::Error::Configuration));
    let legacy = device(ALL, USUAL, 64).legacy();
    assert_eq!(reason(&legacy), start(reflex_virtio_bus::Error::NotModern));
    let other = FakeDevice::new(DeviceType::Network, 0, &[0; 60], 1, 64);
    assert_eq!(reason(&other), Some(Error::OtherDevice));
}

#[test]
fn a_device_may_have_no_name_but_not_be_silent() {
    let fake = device(ALL, USUAL, 64);
    let (disk, _) = opened_by(&fake, 4, |ring| {
        let chain = ring.take_chain().expect("the question");
        common::answer(ring, &chain, 2, 1);
        true
    });
    assert_eq!(disk.expect("it needs no name").info().serial.as_str(), "");
    let (disk, _) = opened_by(&device(ALL, USUAL, 64), 4, |_| false);
    assert_eq!(disk.err(), Some(Error::Silent));
}

#[test]
fn requests_are_done_in_the_devices_order_and_told_by_their_tags() {
    let mut bench = bench(ALL, USUAL, 4);
    let write = bench.write(1, 10, 2, 0xaa);
    let read = bench.read(2, 3, 1);
    for request in [write, read, flush(3), discard(4, 40, 8)] {
        bench.disk.submit(request).expect("there is room");
    }
    bench.device.take();
    assert_eq!(bench.device.taken.len(), 0, "nothing is shown before `notify`");
    bench.disk.notify();
    assert!(bench.handle.was_rung(0));
    bench.device.take();
    for at in [3, 0, 1, 0] {
        bench.device.perform(at);
    }
    let done = bench.drain();
    let tags: Vec<_> = done.iter().map(|done| (done.tag, done.result)).collect();
    assert_eq!(tags, [(4, Ok(())), (1, Ok(())), (3, Ok(())), (2, Ok(()))]);
    let read = done[3].memory[0].as_ref().expect("the memory comes back");
    assert!(read.bytes.iter().all(|byte| *byte == 3));
    assert_eq!(bench.device.medium[10 * SECTOR..12 * SECTOR], [0xaa; 2 * SECTOR]);
    assert_eq!(bench.device.medium[40 * SECTOR..48 * SECTOR], [0; 8 * SECTOR]);
    assert_eq!(bench.device.flushes, 1);
    drop(done);
    assert_eq!(pool_in_use(bench.pool), 0);
    assert_eq!(bench.disk.counters().requests, 4);
}

#[test]
fn two_pieces_are_one_request() {
    let mut bench = bench(ALL, USUAL, 4);
    let (first, second) = (bench.piece(1, 512), bench.piece(2, 1024));
    let write = request(1, BlockOperation::Write, 20, [Some(first), Some(second)]);
    bench.disk.submit(write).expect("there is room");
    bench.disk.notify();
    bench.device.take();
    bench.device.perform(0);
    assert_eq!(bench.device.medium[20 * SECTOR..21 * SECTOR], [1; SECTOR]);
    assert_eq!(bench.device.medium[21 * SECTOR..23 * SECTOR], [2; 2 * SECTOR]);
}

#[test]
fn interrupts_come_when_they_are_asked_for() {
    let mut bench = bench(ALL, USUAL, 4);
    assert!(!bench.device.ring.wants_interrupt());
    let submit = |bench: &mut Bench| {
        let read = bench.read(1, 0, 1);
        bench.disk.submit(read).expect("there is room");
        bench.disk.notify();
        bench.device.take();
    };
    submit(&mut bench);
    assert!(!bench.disk.enable());
    assert!(bench.device.perform(0), "an interrupt is wanted");
    assert!(bench.disk.enable(), "one is done for which none will come");
    assert!(!bench.device.ring.wants_interrupt());
    assert_eq!(bench.drain().len(), 1);
}

#[test]
fn what_cannot_be_done_goes_back_as_it_came() {
    let mut bench = bench(ALL, Configuration { block: 1024, ..USUAL }, 4);
    let refused = |bench: &mut Bench, request| {
        let (error, request) = bench.disk.submit(request).expect_err("it is refused");
        assert_eq!(pool_in_use(bench.pool), request.memory.iter().flatten().count());
        error
    };
    let write = |bench: &mut Bench, sector, sectors| {
        let request = bench.write(1, sector, sectors, 0);
        refused(bench, request)
    };
    assert_eq!(write(&mut bench, SECTORS - 2, 4), BlockError::OutOfRange);
    assert_eq!(write(&mut bench, u64::MAX - 1, 4), BlockError::OutOfRange);
    assert_eq!(write(&mut bench, 1, 2), BlockError::Unaligned);
    assert_eq!(write(&mut bench, 2, 1), BlockError::Unaligned);
    let long = bench.pool.bytes(8192).expect("memory");
    let piece = |bytes, length| [Some(reflex_hil::Piece { bytes, length }), None];
    let long = request(1, BlockOperation::Read, 0, piece(long, 8192));
    assert_eq!(refused(&mut bench, long), BlockError::TooLong);
    let short = bench.pool.bytes(1024).expect("memory");
    let short = request(1, BlockOperation::Read, 0, piece(short, 2048));
    assert_eq!(refused(&mut bench, short), BlockError::TooLong);
    let none = request(1, BlockOperation::Read, 0, [None, None]);
    assert_eq!(refused(&mut bench, none), BlockError::Empty);
    assert_eq!(refused(&mut bench, discard(1, 0, 0)), BlockError::Empty);
    assert_eq!(refused(&mut bench, discard(1, 0, MOST_DISCARDED + 1)), BlockError::TooLong);
    let mut bench = common::bench(BLK_SIZE | RO, USUAL, 4);
    assert_eq!(write(&mut bench, 0, 1), BlockError::ReadOnly);
    let mut bench = common::bench(BLK_SIZE, USUAL, 4);
    assert_eq!(refused(&mut bench, discard(1, 0, 1)), BlockError::Unsupported);
}

#[derive(Clone, Debug)]
enum Step {
    Write { sector: u64, sectors: u32, fill: u8 },
    Read { sector: u64, sectors: u32 },
    Flush,
    Perform { which: usize },
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..SECTORS - 4, 1u32..4);
    prop_oneof![
        3 => (range(), any::<u8>())
            .prop_map(|((sector, sectors), fill)| Step::Write { sector, sectors, fill }),
        3 => range().prop_map(|(sector, sectors)| Step::Read { sector, sectors }),
        1 => Just(Step::Flush),
        5 => any::<usize>().prop_map(|which| Step::Perform { which }),
        2 => Just(Step::Drain),
    ]
}

proptest! {
    /// The device does requests in any order and keeps some for long; each is answered once, and no more are with
    /// it than its queue holds.
    #[test]
    fn every_request_is_answered_once(
        steps in proptest::collection::vec(step(), 1..300),
        most in 1u16..9,
    ) {
        let mut bench = bench(ALL, USUAL, most);
        let room = usize::from(bench.disk.info().in_flight);
        prop_assert_eq!(room, 1 << most.ilog2());
        let mut flying = std::collections::BTreeSet::new();
        for (tag, step) in (0u64..).zip(steps) {
            let request = match step {
                Step::Write { sector, sectors, fill } => bench.write(tag, sector, sectors, fill),
                Step::Read { sector, sectors } => bench.read(tag, sector, sectors),
                Step::Flush => flush(tag),
                Step::Perform { which } => {
                    bench.disk.notify();
                    bench.device.take();
                    prop_assert!(bench.device.taken.len() <= room);
                    let count = bench.device.taken.len();
                    if count > 0 {
                        bench.device.perform(which % count);
                    }
                    continue;
                }
                Step::Drain => {
                    for done in bench.drain() {
                        prop_assert!(flying.remove(&done.tag), "answered twice, or never asked");
                        prop_assert_eq!(done.result, Ok(()));
                    }
                    continue;
                }
            };
            match bench.disk.submit(request) {
                Ok(()) => prop_assert!(flying.insert(tag) && flying.len() <= room),
                Err((error, _)) => {
                    prop_assert_eq!((error, flying.len()), (BlockError::Full, room));
                }
            }
        }
        bench.disk.notify();
        bench.device.take();
        while !bench.device.taken.is_empty() {
            bench.device.perform(0);
        }
        for done in bench.drain() {
            prop_assert!(flying.remove(&done.tag));
        }
        prop_assert!(flying.is_empty(), "never answered: {:?}", flying);
        prop_assert_eq!(pool_in_use(bench.pool), 0);
    }
}
