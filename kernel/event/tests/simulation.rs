//! Random interleavings of everything that can happen to the core, against a naive model: order
//! by priority and arrival, one handler at a time in a context, nothing lost, nothing run after
//! it was unregistered, and always the best context running (A-3.1.4, A-3.1.5, A-3.2.1,
//! `PROPTEST_CASES` makes it longer.

mod model;

use model::{Machine, Step};
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        6 => prop::collection::vec(change(), 0..3)
            .prop_map(|releasing| vec![Step::Return { releasing }]),
        4 => at_once().prop_map(|step| vec![step]),
        // What happens in one section is dispatched together.
        8 => prop::collection::vec(change_or_start(), 1..6),
    ]
}

fn at_once() -> impl Strategy<Value = Step> {
    (any::<u8>(), 0..4u32).prop_map(|(event, count)| Step::ActivateAtOnce { event, count })
}

/// Few, so that there are many equals; now and then any.
fn priority() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 10..14u8, 1 => 0..64u8]
}

/// With what an interrupt does between the end of a section and the dispatch that is due.
fn change_or_start() -> impl Strategy<Value = Step> {
    prop_oneof![9 => change(), 1 => at_once()]
}

fn change() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u8>(), 0..4u32).prop_map(|(event, count)| Step::Activate { event, count }),
        2 => (any::<u8>(), priority(), any::<bool>())
            .prop_map(|(context, priority, each)| Step::Register { context, priority, each }),
        1 => any::<u8>().prop_map(|event| Step::Unregister { event }),
        1 => Just(Step::UnregisterSelf),
        1 => (any::<u8>(), priority())
            .prop_map(|(event, priority)| Step::SetPriority { event, priority }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_keeps_the_promises(
        contexts in 1..9u16,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut machine = Machine::new(contexts);
        for step in steps {
            machine.take(step);
        }
        machine.drain();
    }
}
