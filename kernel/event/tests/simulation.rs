//! Random interleavings of everything that can happen to the core, against a naive model: order
//! by priority and arrival, one handler at a time in a context, nothing lost, nothing run after
//! it was unregistered, and always the best context running (A-3.1.4, A-3.1.5, A-3.2.1,
//!

mod model;

use model::{Machine, Step};
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        6 => Just(vec![Step::Return]),
        4 => (any::<u8>(), 1..4u32)
            .prop_map(|(event, count)| vec![Step::ActivateAtOnce { event, count }]),
        // What happens in one section is dispatched together.
        8 => prop::collection::vec(change(), 1..4),
    ]
}

fn change() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u8>(), 1..4u32).prop_map(|(event, count)| Step::Activate { event, count }),
        2 => (any::<u8>(), 0..64u8, any::<bool>())
            .prop_map(|(context, priority, each)| Step::Register { context, priority, each }),
        1 => any::<u8>().prop_map(|event| Step::Unregister { event }),
        1 => Just(Step::UnregisterSelf),
        1 => (any::<u8>(), 0..64u8)
            .prop_map(|(event, priority)| Step::SetPriority { event, priority }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_keeps_the_promises(
        contexts in 1..6u16,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut machine = Machine::new(contexts);
        for step in steps {
            machine.take(step);
        }
        machine.drain();
    }
}
