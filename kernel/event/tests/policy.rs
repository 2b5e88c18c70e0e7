//! What is inherited is inherited downward only: a child never has more than its parent (A-3.5.3,
//!

use proptest::prelude::*;
use reflex_event::{Executor, Executors, Limits, NameSet, Names, OverflowPolicy, Policy};
use std::time::Duration;

fn names() -> impl Strategy<Value = NameSet> {
    let some = prop::collection::vec(0..64u8, 0..64);
    prop_oneof![
        Just(NameSet::ALL),
        some.prop_map(|places| places.into_iter().fold(NameSet::NONE, NameSet::with)),
    ]
}

fn executors() -> impl Strategy<Value = Executors> {
    prop::collection::vec(prop::sample::select(&Executor::ALL[..]), 0..5)
        .prop_map(|some| some.into_iter().fold(Executors::NONE, Executors::with))
}

fn policy() -> impl Strategy<Value = Policy> {
    let budget = prop::option::of((0..1_000u64).prop_map(Duration::from_micros));
    (names(), executors(), names(), any::<u16>(), budget).prop_map(
        |(kinds, executors, not_during, children, budget)| Policy {
            kinds,
            executors,
            not_during,
            children,
            budget,
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let overload = prop_oneof![Just(OverflowPolicy::Wait), Just(OverflowPolicy::Shed)];
    (any::<u32>(), 1..u32::MAX, overload).prop_map(|(registrations, activations, overload)| {
        Limits { registrations, activations, overload }
    })
}

/// Whether a context with the policy `child` could do nothing that `parent` may not.
fn no_more(child: Policy, parent: Policy) -> bool {
    let time = |policy: Policy| policy.budget.unwrap_or(Duration::MAX);
    (0..64).all(|place| {
        (!child.kinds.contains(place) || parent.kinds.contains(place))
            && (child.not_during.contains(place) || !parent.not_during.contains(place))
    }) && Executor::ALL
        .into_iter()
        .all(|executor| !child.executors.contains(executor) || parent.executors.contains(executor))
        && child.children <= parent.children
        && time(child) <= time(parent)
}

proptest! {
    /// Along a line of descendants of any length, nobody has more than anybody above, whatever
    /// they ask for.
    #[test]
    fn no_descendant_has_more_than_an_ancestor(
        asked in prop::collection::vec((policy(), limits()), 1..8),
    ) {
        let mut line: Vec<(Policy, Limits)> = Vec::new();
        for (policy, limits) in asked {
            let (parent, most) = line.last().copied().unwrap_or((Policy::OPEN, Limits::NONE));
            let (policy, limits) = (policy.within(parent), limits.within(most));
            for (above, most) in &line {
                prop_assert!(no_more(policy, *above));
                prop_assert!(limits.registrations <= most.registrations);
                prop_assert!(limits.activations <= most.activations);
            }
            line.push((policy, limits));
        }
    }

    /// Nobody gets less than was asked for, either, unless the parent has less.
    #[test]
    fn nothing_is_taken_away_without_need(asked in policy(), parent in policy()) {
        prop_assert_eq!(asked.within(Policy::OPEN), asked);
        prop_assert_eq!(parent.within(parent), parent);
        let given = asked.within(parent);
        prop_assert_eq!(given.within(parent), given);
        for place in 0..64 {
            let both = asked.kinds.contains(place) && parent.kinds.contains(place);
            prop_assert_eq!(given.kinds.contains(place), both);
            let either = asked.not_during.contains(place) || parent.not_during.contains(place);
            prop_assert_eq!(given.not_during.contains(place), either);
        }
        prop_assert!(given.children == asked.children || given.children == parent.children);
    }
}

#[test]
fn names_keep_their_places_until_there_is_no_room() {
    let mut names = Names::EMPTY;
    let known: Vec<&'static str> =
        (0..65).map(|number| &*format!("name {number}").leak()).collect();
    for (place, name) in known[..64].iter().enumerate() {
        assert_eq!(names.place(name), Some(place as u8));
    }
    assert_eq!(names.place(known[64]), None);
    for (place, name) in known[..64].iter().enumerate() {
        assert_eq!(names.place(name), Some(place as u8));
    }
    let set = NameSet::NONE.with(0).with(63);
    assert_eq!(set.places().collect::<Vec<_>>(), [0, 63]);
}
