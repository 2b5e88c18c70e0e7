//! The ring and the doorbell against what they stand for.

use proptest::prelude::*;
use reflex_across::{Doorbell, PairRing, Senders};
use reflex_event::Priority;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

fn agrees<const N: usize>(steps: &[Option<u8>]) -> Result<(), TestCaseError> {
    let mut ring = PairRing::<Rc<u8>, N>::new();
    let mut model = VecDeque::new();
    for part in steps.chunks(16) {
        // What a ring holds outlives its ends.
        let (mut producer, mut consumer) = ring.split();
        for &step in part {
            match step {
                Some(number) => {
                    let (value, room) = (Rc::new(number), model.len() < N);
                    prop_assert_eq!(producer.is_full(), !room);
                    prop_assert_eq!(producer.push(value.clone()).is_ok(), room);
                    model.extend(room.then_some(value));
                }
                None => prop_assert_eq!(consumer.pop(), model.pop_front()),
            }
            prop_assert_eq!(consumer.is_empty(), model.is_empty());
        }
    }
    prop_assert!(model.iter().all(|value| Rc::strong_count(value) == 2));
    drop(ring);
    prop_assert!(model.iter().all(|value| Rc::strong_count(value) == 1), "dropped with the ring");
    Ok(())
}

/// The cores there can be.
const MOST_CORES: usize = reflex_event::MOST_CORES as usize;

/// What happens at a doorbell.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ring(usize, u8),
    Run(u8),
    Sleep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..MOST_CORES, 0..64u8).prop_map(|(core, level)| Step::Ring(core, level)),
        (0..64u8).prop_map(Step::Run),
        Just(Step::Sleep),
    ]
}

fn priority(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

proptest! {
    #[test]
    fn a_ring_is_a_bounded_queue(steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        agrees::<1>(&steps)?;
        agrees::<2>(&steps)?;
        agrees::<8>(&steps)?;
    }

    /// A core is interrupted for what beats what it runs, and what it has been interrupted for already.
    #[test]
    fn a_core_is_interrupted_when_it_is_beaten(steps in prop::collection::vec(step(), 0..100)) {
        let bell = Doorbell::new();
        let mut marked = BTreeSet::new();
        // The level that is not beaten; before the core has begun to work, the highest.
        let mut unbeaten = Some(63);
        for step in steps {
            match step {
                Step::Ring(core, level) => {
                    let due = unbeaten < Some(level);
                    prop_assert_eq!(bell.ring(core, priority(level)), due);
                    unbeaten = unbeaten.max(Some(level));
                    marked.insert(core);
                }
                Step::Run(level) => {
                    let senders: Vec<_> = bell.run(priority(level)).collect();
                    prop_assert_eq!(senders, Vec::from_iter(std::mem::take(&mut marked)));
                    unbeaten = Some(level);
                }
                Step::Sleep => {
                    let senders: Vec<_> = bell.sleep().collect();
                    prop_assert_eq!(senders, Vec::from_iter(std::mem::take(&mut marked)));
                    unbeaten = None;
                }
            }
            prop_assert_eq!(bell.is_marked(), !marked.is_empty());
        }
    }
}

#[test]
fn marks_that_are_put_back_are_found_again() {
    let bell = Doorbell::new();
    let mut senders = Senders::NONE;
    senders.insert(5);
    bell.put_back(senders);
    senders.insert(63);
    bell.put_back(senders);
    assert_eq!(bell.run(Priority::LOW).collect::<Vec<_>>(), [5, 63]);
    assert!(bell.sleep().is_empty());
}

#[test]
#[should_panic(expected = "no such core")]
fn a_core_beyond_the_marks_is_refused() {
    let _ = Doorbell::new().ring(MOST_CORES, Priority::LOW);
}
