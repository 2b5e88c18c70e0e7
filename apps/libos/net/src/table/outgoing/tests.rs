use super::{Outgoing, PIECE};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

/// What is done to a ring.
#[derive(Clone, Debug)]
enum Step {
    /// A write of so many bytes begins.
    Begin(usize),
    /// The youngest that is not complete goes on by a piece.
    Fill,
    /// So many bytes at most are taken.
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1usize..700).prop_map(Step::Begin),
        Just(Step::Fill),
        Just(Step::Fill),
        (0usize..400).prop_map(Step::Take),
    ]
}

/// A write that is under way: where it is reserved, its bytes, and how many have been filled in.
struct Write {
    place: usize,
    bytes: Vec<u8>,
    filled: usize,
}

proptest! {
    /// Writes that come upon each other leave whole, in the order in which they began, and none is sent in
    /// front of one that is under way.
    #[test]
    fn writes_leave_whole_and_in_order(
        size in 1usize..1500,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut ring = Outgoing::new(std::vec![0; size]);
        let mut expected = VecDeque::new();
        let mut under_way: Vec<Write> = Vec::new();
        let (mut count, mut taken) = (0u8, 0);
        for step in steps {
            match step {
                Step::Begin(length) => {
                    let bytes: Vec<u8> = (0..length).map(|at| count.wrapping_add(at as u8)).collect();
                    let room = size - expected.len();
                    let place = ring.reserve(length);
                    prop_assert_eq!(place.is_some(), length <= room);
                    if let Some(place) = place {
                        expected.extend(bytes.iter().copied());
                        under_way.push(Write { place, bytes, filled: 0 });
                        count = count.wrapping_add(31);
                    }
                }
                Step::Fill => {
                    let Some(write) = under_way.last_mut() else { continue };
                    let end = write.bytes.len().min(write.filled + PIECE);
                    ring.fill(write.place, write.filled, &write.bytes[write.filled..end]);
                    write.filled = end;
                    if end == write.bytes.len() {
                        ring.complete();
                        under_way.pop();
                        taken = if under_way.is_empty() { expected.len() } else { taken };
                    }
                }
                Step::Take(most) => {
                    let piece: Vec<u8> = ring.piece().to_vec();
                    prop_assert!(piece.len() <= taken && piece.len() <= PIECE);
                    prop_assert_eq!(piece.is_empty(), taken == 0);
                    let length = piece.len().min(most);
                    for byte in &piece[..length] {
                        prop_assert_eq!(expected.pop_front(), Some(*byte));
                    }
                    ring.took(length);
                    taken -= length;
                }
            }
            prop_assert_eq!(ring.used(), expected.len());
        }
        ring.clear();
        prop_assert!(ring.used() == 0 && ring.piece().is_empty());
    }
}
