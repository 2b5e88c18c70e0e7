//! Disks and the contexts that have them: sectors are given when a disk is opened, and what a context leaves goes back.

mod common;

use common::{App, SECTORS, bench};
use reflex_block::{Device, Disk, Error, Options};
use reflex_testkit::{Random, SimKernel};
use std::collections::BTreeSet;

fn range(range: std::ops::Range<u64>) -> Options {
    Options { range: Some(range), depth: 4, ..Options::default() }
}

#[test]
fn sectors_are_given_once_unless_they_are_only_read() {
    let bench = bench(4);
    let first = bench.open(range(0..100));
    assert_eq!(bench.try_open(range(99..101)).err(), Some(Error::InUse));
    let second = bench.open(range(100..SECTORS));
    assert_eq!(bench.try_open(Options::default()).err(), Some(Error::InUse));
    drop((first, second));
    let reading = || Options { read_only: true, ..range(0..SECTORS) };
    let both = (bench.open(reading()), bench.open(reading()));
    assert_eq!(bench.try_open(range(0..1)).err(), Some(Error::InUse));
    drop(both);
    bench.run();
    bench.open(range(0..1));
}

#[test]
fn a_disk_that_is_closed_leaves_nothing_and_the_next_comes_after_it() {
    let bench = bench(1);
    let before = (bench.taken(), bench.kernel.registrations());
    let disk = bench.open(range(0..SECTORS));
    disk.submit(bench.write(1, 7, 0x11)).unwrap();
    disk.submit(bench.write(2, 7, 0x22)).unwrap();
    drop(disk);
    let next = bench.open(range(0..SECTORS));
    next.submit(bench.write(3, 7, 0x33)).unwrap();
    next.submit(bench.read(4, 7)).unwrap();
    bench.run();
    assert_eq!(bench.medium.pending(), 1, "the last write of the closed one");
    bench.settle();
    let told = bench.told();
    assert_eq!(told.iter().map(|told| told.id).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(told[1].first, Some(0x33));
    drop(next);
    bench.run();
    assert_eq!((bench.taken(), bench.kernel.registrations()), before);
}

#[test]
fn what_a_context_has_under_way_when_it_is_given_up_goes_back_when_it_is_done() {
    let bench = bench(2);
    let before = bench.taken();
    let disk = bench.open(range(0..SECTORS));
    for id in 0..4 {
        disk.submit(bench.write(id, id, 0x44)).unwrap();
    }
    bench.kernel.state(bench.app, |app| app.fatal = Some(0));
    bench.medium.perform(0);
    // The handler fails with the first in its hands.
    assert!(bench.kernel.contain(bench.app, App::default()));
    std::mem::forget(disk);
    assert_eq!(bench.medium.pending(), 2, "what still waited is not done any more");
    // The next life has the disk, after what is under way of the last.
    let disk = bench.open(range(0..SECTORS));
    disk.submit(bench.write(9, 1, 0x99)).unwrap();
    assert_eq!(bench.medium.pending(), 2);
    bench.settle();
    assert_eq!((bench.ids(), bench.medium.bytes(1, 1)[0]), (vec![9], 0x99));
    drop(disk);
    bench.run();
    // What the handler had borrowed is quarantined.
    assert_eq!((bench.taken(), bench.kernel.quarantined()), (before + 1, reflex_block::SECTOR));
}

/// Opens, submits, cancels, closes and fails at random, over a device that answers in any order.
#[test]
fn every_request_ends_once_and_nothing_is_left() {
    let seed = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("REFLEX_SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..40 {
        let bench = bench(1 + random.below(6) as u16);
        let before = (bench.taken(), bench.kernel.registrations());
        let mut disks: Vec<(Disk<SimKernel>, BTreeSet<u64>)> = Vec::new();
        let mut tickets = Vec::new();
        let mut ended = BTreeSet::new();
        for id in 0..2_000 {
            match random.below(12) {
                0 if disks.len() < 3 => {
                    let first = random.below(3) * 80;
                    if let Ok(disk) = bench.try_open(range(first..first + 80)) {
                        disks.push((disk, BTreeSet::new()));
                    }
                }
                1 if random.percent(20) && !disks.is_empty() => {
                    drop(disks.swap_remove(random.below(disks.len() as u64) as usize));
                    tickets.clear();
                }
                2 if !tickets.is_empty() => {
                    let (at, ticket) = tickets[random.below(tickets.len() as u64) as usize];
                    let (disk, _): &(Disk<SimKernel>, _) = &disks[at];
                    let _ = disk.cancel(ticket);
                }
                3..6 if bench.medium.pending() > 0 => {
                    let at = random.below(bench.medium.pending() as u64) as usize;
                    bench.medium.perform(at);
                }
                6 if random.percent(10) => {
                    let now = reflex_event::EventSystem::now(&bench.kernel);
                    bench.clock.set(now + std::time::Duration::from_secs(20));
                    bench.kernel.fire_timers();
                }
                7 => bench.run(),
                _ if !disks.is_empty() => {
                    let at = random.below(disks.len() as u64) as usize;
                    let (disk, open) = &mut disks[at];
                    let level = random.below(64) as u8;
                    let request = bench.write(id, random.below(80), id as u8);
                    let priority = reflex_event::Priority::new(level).expect("a level");
                    if let Ok(ticket) = disk.submit(request.priority(priority)) {
                        open.insert(id);
                        tickets.push((at, ticket));
                    }
                }
                _ => {}
            }
            for told in bench.told() {
                assert!(ended.insert(told.id), "{} is told of twice", told.id);
                let known = disks.iter_mut().any(|(_, open)| open.remove(&told.id));
                assert!(known, "{} is of no open disk", told.id);
            }
        }
        bench.settle();
        for id in bench.ids() {
            assert!(ended.insert(id));
            assert!(disks.iter_mut().any(|(_, open)| open.remove(&id)));
        }
        for (disk, open) in disks {
            assert!(open.is_empty(), "never told of: {open:?}");
            assert_eq!(disk.room(), 4);
            drop(disk);
        }
        bench.settle();
        assert_eq!((bench.taken(), bench.kernel.registrations()), before);
    }
}

/// A context tells of its end a few times only: its disks may be on more devices than that.
#[test]
fn a_context_has_disks_of_many_devices() {
    let bench = bench(4);
    let context = bench.kernel.context((), 1 << 16);
    let media: Vec<_> = (0..8).map(|_| reflex_testkit::Medium::new(SECTORS, 4)).collect();
    let device = |medium: &reflex_testkit::Medium| {
        Device::new(bench.kernel.clone(), Box::new(medium.disk())).expect("memory")
    };
    let devices: Vec<_> = media.iter().map(device).collect();
    let ended = Device::ends(&bench.kernel, context, devices.clone()).expect("a place");
    for device in &devices {
        device.start(context, ended).expect("a place");
    }
    let open = || -> Vec<_> {
        let open = |it: &Device<_>| it.open(bench.app, range(0..8), App::done).expect("it opens");
        devices.iter().map(open).collect()
    };
    // Each is to be had again when the context has been given up.
    std::mem::forget(open());
    bench.kernel.end(bench.app);
    bench.run();
    open();
}
