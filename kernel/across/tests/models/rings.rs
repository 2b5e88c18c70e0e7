//! The ring by itself: full and empty edges.

use crate::model;
use crate::ring::{Consumer, PairRing, Producer};
use loom::sync::Arc;
use loom::thread;

/// Ends that may be on two threads of loom's, which are 'static.
pub(crate) fn ends<T: Send, const N: usize>() -> (Producer<'static, T>, Consumer<'static, T>) {
    // Leaked: a model is run some ten thousand times.
    Box::leak(Box::new(PairRing::<T, N>::new())).split()
}

/// Pushes the numbers from `from` on until one is refused twice, and returns that.
fn push(producer: &mut Producer<'_, u32>, from: u32, to: u32) -> u32 {
    for number in from..to {
        if producer.push(number).is_err() {
            thread::yield_now();
            if producer.push(number).is_err() {
                return number;
            }
        }
    }
    to
}

fn take(consumer: &mut Consumer<'_, u32>, tries: usize) -> Vec<u32> {
    (0..tries).filter_map(|_| consumer.pop()).collect()
}

fn nothing_is_lost<const N: usize>(entries: u32, tries: usize) {
    model(4, move || {
        let (mut producer, mut consumer) = ends::<u32, N>();
        let other = thread::spawn(move || {
            let taken = take(&mut consumer, tries);
            (taken, consumer)
        });
        let pushed = push(&mut producer, 0, entries);
        let (mut taken, mut consumer) = other.join().unwrap();
        taken.extend(take(&mut consumer, N));
        assert!(consumer.is_empty());
        assert!(taken.iter().copied().eq(0..pushed), "{taken:?} of {pushed}");
    });
}

/// Every push waits for a take, and every slot is used again.
#[test]
fn one_slot_is_full_and_empty_in_turn() {
    nothing_is_lost::<1>(3, 3);
}

#[test]
fn two_slots_are_taken_while_they_are_filled() {
    nothing_is_lost::<2>(4, 3);
}

/// What is in a ring that goes is dropped once, and so is what was taken.
#[test]
fn each_entry_is_dropped_once() {
    model(3, || {
        let counted = Arc::new(());
        let mut ring = PairRing::<Arc<()>, 2>::new();
        let (mut producer, mut consumer) = ring.split();
        producer.push(counted.clone()).expect("room");
        producer.push(counted.clone()).expect("room");
        assert!(producer.push(counted.clone()).is_err());
        drop(consumer.pop());
        assert_eq!(Arc::strong_count(&counted), 2);
        drop(ring);
        assert_eq!(Arc::strong_count(&counted), 1);
    });
}
