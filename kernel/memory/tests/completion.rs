//! The completion ring against a queue, and under real threads.

use proptest::prelude::*;
use reflex_memory::completion::{CompletionRing, Reader};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

fn agrees<const N: usize>(steps: &[Result<u64, usize>]) -> Result<(), TestCaseError> {
    let mut ring = CompletionRing::<u64, N>::new();
    let (mut producer, reader) = ring.split();
    let mut model = VecDeque::new();
    for &step in steps {
        match step {
            Ok(value) if model.len() == N => prop_assert_eq!(producer.push(value), Err(value)),
            Ok(value) => {
                prop_assert_eq!(producer.push(value), Ok(()));
                model.push_back(value);
            }
            Err(most) => {
                let mut into = vec![None; most];
                let count = reader.take(&mut into);
                prop_assert_eq!(count, most.min(model.len()));
                let expected: Vec<_> = model.drain(..count).map(Some).collect();
                prop_assert_eq!(&into[..count], &expected[..]);
                prop_assert!(into[count..].iter().all(Option::is_none));
            }
        }
        prop_assert_eq!((producer.len(), reader.len()), (model.len(), model.len()));
        prop_assert_eq!(producer.is_empty(), model.is_empty());
        prop_assert_eq!(reader.is_empty(), model.is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn is_a_bounded_queue(
        steps in prop::collection::vec(
            prop_oneof![2 => any::<u64>().prop_map(Ok), 1 => (0_usize..40).prop_map(Err)],
            0..200,
        ),
    ) {
        agrees::<1>(&steps)?;
        agrees::<2>(&steps)?;
        agrees::<64>(&steps)?;
    }
}

#[test]
fn entries_of_two_words_come_as_they_were() {
    let mut ring = CompletionRing::<[u64; 2], 4>::new();
    let (mut producer, reader) = ring.split();
    for entry in [[1, 2], [3, 4], [u64::MAX, 0], [0, 5]] {
        producer.push(entry).unwrap();
    }
    let mut into = [None; 5];
    assert_eq!(reader.take(&mut into), 4);
    assert_eq!(into, [Some([1, 2]), Some([3, 4]), Some([u64::MAX, 0]), Some([0, 5]), None]);
}

/// Takes until all is over; everything it took, in order.
fn read(reader: Reader<'_, [u64; 2]>, batch: usize, over: &AtomicBool) -> Vec<u64> {
    let mut taken = Vec::new();
    let mut into = vec![None; batch];
    loop {
        let last = over.load(Ordering::Acquire);
        let count = reader.take(&mut into);
        taken.extend(into[..count].iter().map(|entry| {
            let [number, complement] = entry.expect("counted");
            assert_eq!(complement, !number, "torn");
            number
        }));
        if count == 0 {
            if last {
                return taken;
            }
            std::thread::yield_now();
        }
    }
}

fn balances<const N: usize>(batches: &[usize]) {
    const ENTRIES: u64 = if cfg!(miri) { 200 } else { 100_000 };
    let mut ring = CompletionRing::<[u64; 2], N>::new();
    let (mut producer, reader) = ring.split();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let readers: Vec<_> =
            batches.iter().map(|&batch| scope.spawn(move || read(reader, batch, over))).collect();
        for number in 0..ENTRIES {
            while producer.push([number, !number]).is_err() {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::Release);
        let mut all = Vec::new();
        for reader in readers {
            let taken = reader.join().unwrap();
            assert!(taken.is_sorted(), "a reader's entries come in order");
            all.extend(taken);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ENTRIES), "each entry once");
    });
}

#[test]
fn threads_take_each_entry_once() {
    balances::<1>(&[1, 1]);
    balances::<4>(&[1, 3, 8]);
    balances::<256>(&[16, 100, 1]);
}
