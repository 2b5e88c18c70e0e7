//! The completion ring, and what comes back to a pool from other cores, in every interleaving that the memory model
//! allows: their own sources, compiled with loom's atomics in place of the processor's. They are a part of the
//! ordinary tests.
//!
//! Loom never lets a load see a store that comes after it, so that one ordering is not tried here:
//! that the producer's look at `head` is an acquiring one is by the argument in the module.
#![allow(dead_code, unreachable_pub)]

#[path = "../src/completion.rs"]
mod completion;
#[path = "../src/returned.rs"]
mod returned;

/// What the source finds in place of `src/sync.rs`.
mod sync {
    pub(crate) use loom::sync::atomic::AtomicU64;
}

use completion::{CompletionRing, Producer, Reader};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use returned::Returned;

/// Both words tell the same entry, so that a torn one is noticed.
fn entry(number: u64) -> [u64; 2] {
    [number, !number]
}

fn checked(entry: Option<[u64; 2]>) -> u64 {
    let [number, complement] = entry.expect("counted");
    assert_eq!(complement, !number, "torn");
    number
}

/// Takes once, at most `N`.
fn take<const N: usize>(reader: Reader<'_, [u64; 2]>) -> Vec<u64> {
    let mut into = [None; N];
    let count = reader.take(&mut into);
    into[..count].iter().map(|entry| checked(*entry)).collect()
}

/// Pushes the numbers from `from` on up to `to`, trying each at most `tries` times, and returns
/// where it stopped.
fn push(producer: &mut Producer<'_, [u64; 2]>, from: u64, to: u64, tries: usize) -> u64 {
    for number in from..to {
        let mut left = tries;
        while let Err(back) = producer.push(entry(number)) {
            assert_eq!(back, entry(number));
            left -= 1;
            if left == 0 {
                return number;
            }
            thread::yield_now();
        }
    }
    to
}

/// What was taken, by whomever, and what is still there, is what was pushed, each once; and each
/// reader had it in order.
fn balance(pushed: u64, reader: Reader<'_, [u64; 2]>, taken: &[Vec<u64>]) {
    for each in taken {
        assert!(each.is_sorted(), "{each:?}");
    }
    let mut all = taken.concat();
    let rest = take::<8>(reader);
    assert!(rest.is_sorted());
    assert!(all.iter().all(|number| rest.iter().all(|left| left > number)), "{all:?} {rest:?}");
    all.extend(rest);
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..pushed), "{all:?}");
}

fn ends<const N: usize>() -> (Producer<'static, [u64; 2]>, Reader<'static, [u64; 2]>) {
    // Leaked: loom's threads are 'static. A model is run some ten thousand times.
    Box::leak(Box::new(CompletionRing::<[u64; 2], N>::new())).split()
}

/// The ring has one slot: every push waits for a take, and every slot is overwritten.
#[test]
fn one_reader_and_one_slot() {
    loom::model(|| {
        let (mut producer, reader) = ends::<1>();
        let other = thread::spawn(move || {
            let mut taken = take::<2>(reader);
            taken.extend(take::<2>(reader));
            taken
        });
        let pushed = push(&mut producer, 0, 3, 2);
        let taken = other.join().unwrap();
        balance(pushed, reader, &[taken]);
    });
}

/// Two readers take from a full ring while its slots are overwritten.
#[test]
fn two_readers_while_slots_are_overwritten() {
    loom::model(|| {
        let (mut producer, reader) = ends::<2>();
        assert_eq!(push(&mut producer, 0, 2, 1), 2);
        let readers = [0, 1].map(|_| thread::spawn(move || take::<2>(reader)));
        let pushed = push(&mut producer, 2, 4, 1);
        let taken = readers.map(|reader| reader.join().unwrap());
        balance(pushed, reader, &taken);
    });
}

/// Readers of different greed; one of them comes twice. With at most four preemptions: all that
/// there could be would take too long.
#[test]
fn readers_of_different_batches() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let (mut producer, reader) = ends::<2>();
        assert_eq!(push(&mut producer, 0, 1, 1), 1);
        let greedy = thread::spawn(move || take::<2>(reader));
        let modest = thread::spawn(move || {
            let mut taken = take::<1>(reader);
            taken.extend(take::<1>(reader));
            taken
        });
        let pushed = push(&mut producer, 1, 3, 1);
        let taken = [greedy.join().unwrap(), modest.join().unwrap()];
        balance(pushed, reader, &taken);
    });
}

/// What the kernel does: when the ring is full it stops, and goes on where it stopped.
#[test]
fn what_waits_behind_a_full_ring_keeps_its_order() {
    loom::model(|| {
        let (mut producer, reader) = ends::<1>();
        let other = thread::spawn(move || take::<1>(reader));
        let stopped = push(&mut producer, 0, 3, 1);
        let taken = other.join().unwrap();
        let first = take::<1>(reader);
        let pushed = push(&mut producer, stopped, 3, 1);
        balance(pushed, reader, &[[taken, first].concat()]);
    });
}

/// A pool's blocks and the list of those that came back: each block has a link and what its last user left in it.
struct Blocks {
    list: Returned,
    links: [UnsafeCell<u64>; 3],
}

impl Blocks {
    fn give(&self, place: usize) {
        // SAFETY: loom gives a pointer to the cell's value, and sees to it that nothing else has one.
        self.list.put(place, |link| self.links[place].with_mut(|at| unsafe { *at = link }));
    }

    /// Takes what has come back, and uses it again.
    fn collect(&self, into: &mut Vec<usize>) {
        let mut next = self.list.take();
        while let Some(place) = next.checked_sub(1) {
            let place = place as usize;
            // SAFETY: as above.
            let take = |at: *mut u64| unsafe { std::mem::replace(&mut *at, u64::MAX) };
            next = self.links[place].with_mut(take);
            into.push(place);
        }
    }
}

/// Two cores give blocks back, of which one comes back again as soon as it has been handed out anew: each is had once
/// for each time, and its link was written before it is read.
#[test]
fn what_comes_back_on_other_cores_is_had_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let links = [0; 3].map(|_| UnsafeCell::new(u64::MAX));
        let blocks = Arc::new(Blocks { list: Returned::new(), links });
        let (first, second) = (blocks.clone(), blocks.clone());
        let first = thread::spawn(move || [0, 1].map(|place| first.give(place)));
        let second = thread::spawn(move || second.give(2));
        let mut had = Vec::new();
        blocks.collect(&mut had);
        // Handed out to a third, which gives it back at once.
        let again = had.last().copied();
        if let Some(place) = again {
            let third = blocks.clone();
            thread::spawn(move || third.give(place)).join().unwrap();
        }
        first.join().unwrap();
        second.join().unwrap();
        blocks.collect(&mut had);
        let mut due: Vec<usize> = [0, 1, 2].into_iter().chain(again).collect();
        due.sort_unstable();
        had.sort_unstable();
        assert_eq!(had, due);
    });
}
