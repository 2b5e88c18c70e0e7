//! The queue against a list of positions.

use super::Queue;
use proptest::prelude::*;
use reflex_testkit::pool;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Pop,
    /// Of all positions that there ever were, and some to come.
    Withdraw(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => Just(Step::Push), 2 => Just(Step::Pop), 2 => (0..40u64).prop_map(Step::Withdraw)]
}

proptest! {
    #[test]
    fn each_message_is_taken_once_by_order_or_by_its_position(
        capacity in 1..6usize,
        steps in prop::collection::vec(step(), 0..100),
    ) {
        let mut queue = Queue::new(pool(1 << 12), capacity).expect("room");
        // Positions of what waits, and how many places there are from the first to the last.
        let (mut model, mut next) = (VecDeque::new(), 0);
        for step in steps {
            match step {
                Step::Push => match queue.push(next) {
                    Ok(position) => {
                        prop_assert_eq!(position, next);
                        model.push_back(position);
                        next += 1;
                    }
                    Err(back) => {
                        prop_assert_eq!(back, next);
                        // Gaps before the last take places until what is before them is taken.
                        prop_assert!(!model.is_empty() && next - queue.position == capacity as u64);
                    }
                },
                Step::Pop => prop_assert_eq!(queue.pop(), model.pop_front()),
                Step::Withdraw(position) => {
                    let at = model.iter().position(|there| *there == position);
                    prop_assert_eq!(queue.withdraw(position), at.and_then(|at| model.remove(at)));
                    // Positions behind all that wait are given anew.
                    next = model.back().map_or(queue.position, |last| last + 1);
                }
            }
            prop_assert_eq!(queue.len(), model.len());
        }
    }
}
