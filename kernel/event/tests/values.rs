//! The values that applications and the kernel exchange: times, names, sets, counts.

use proptest::prelude::*;
use reflex_event::{
    Activation, ContextId, Core, EventId, Executor, Executors, Instant, Latency, Limits, NameSet,
    OverflowPolicy, Policy, Priority, Registration, Trouble,
};
use std::time::Duration;

proptest! {
    /// Time goes from the start to the end of all time, and not beyond either.
    #[test]
    fn instants_are_points_on_a_line(
        at in any::<u64>(),
        ahead in prop_oneof![any::<u64>(), 0..10_000_u64],
        seconds in any::<u64>(),
    ) {
        let instant = Instant::from_nanos(at);
        prop_assert_eq!(instant.as_nanos(), at);
        prop_assert_eq!(u128::from(instant.as_micros()), Duration::from_nanos(at).as_micros());
        let later = instant + Duration::from_nanos(ahead);
        prop_assert_eq!(later.as_nanos(), at.saturating_add(ahead));
        let passed = Duration::from_nanos(later.as_nanos() - at);
        prop_assert_eq!((later.since(instant), later - instant), (passed, passed));
        prop_assert_eq!((instant.since(later), instant - later), (Duration::ZERO, Duration::ZERO));
        // More than there is room for.
        let far = instant + Duration::from_secs(seconds);
        let expected = u128::from(at) + u128::from(seconds) * 1_000_000_000;
        prop_assert_eq!(u128::from(far.as_nanos()), expected.min(u64::MAX.into()));
    }

    /// A word says which registration, and of which generation.
    #[test]
    fn names_fit_a_word(index in any::<u32>(), generation in any::<u32>()) {
        let name = EventId { index, generation };
        prop_assert_eq!(EventId::from_word(name.into_word()), name);
        let (low, high) = (name.into_word() as u32, (name.into_word() >> 32) as u32);
        prop_assert_eq!((low, high), (index, generation));
    }

    /// So does a context's: its place, and 48 bits of its generation.
    #[test]
    fn names_of_contexts_fit_a_word(index in any::<u16>(), generation in 0..1_u64 << 48) {
        let name = ContextId::new(index, generation);
        prop_assert_eq!((name.index, name.generation()), (index, generation));
        prop_assert_eq!(name.into_word(), generation << 16 | u64::from(index));
        prop_assert_eq!(ContextId::from_word(name.into_word()), name);
    }

    /// Sets have what was put into them, however often, and nothing else.
    #[test]
    fn sets_have_what_was_put_in(
        places in prop::collection::vec(0..64_u8, 0..80),
        executors in prop::collection::vec(prop::sample::select(&Executor::ALL[..]), 0..8),
    ) {
        let set = places.iter().copied().fold(NameSet::NONE, NameSet::with);
        let mut expected = places.clone();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(set.places().collect::<Vec<_>>(), expected);
        for place in 0..64 {
            prop_assert_eq!(set.contains(place), places.contains(&place));
            prop_assert!(NameSet::ALL.contains(place) && !NameSet::NONE.contains(place));
        }
        let some = executors.iter().copied().fold(Executors::NONE, Executors::with);
        for executor in Executor::ALL {
            prop_assert_eq!(some.contains(executor), executors.contains(&executor));
            prop_assert!(Executors::ALL.contains(executor) && !Executors::NONE.contains(executor));
        }
    }

    /// At least that share of the activations waited less than the bound, and a smaller power of two
    /// is none.
    #[test]
    fn quantiles_are_the_least_bounds(
        at_once in 0..50_u64,
        counts in prop::collection::vec((0..32_usize, 1..50_u64), 0..6),
        permille in 0..=1000_u64,
    ) {
        let mut seen = Latency { at_once, waited: [0; 32] };
        counts.iter().for_each(|(bucket, count)| seen.waited[*bucket] += count);
        let total = at_once + counts.iter().map(|(_, count)| count).sum::<u64>();
        prop_assert_eq!(seen.total(), total);
        // How many are known to have waited less than a power of two, or not at all for 0.
        let less = |bound: u64| {
            let buckets = bound.checked_ilog2().map_or(0, |log| log as usize + 1);
            at_once + seen.waited[..buckets].iter().sum::<u64>()
        };
        let enough = |bound| less(bound) * 1000 >= total * permille;
        let quantile = seen.quantile(permille);
        prop_assert!(enough(quantile));
        prop_assert!(quantile == 0 || !enough(quantile / 2), "{quantile}");
    }
}

/// There is no bound for more than all of them: what the last bucket is called is the highest.
#[test]
fn more_than_all_have_the_highest_bound() {
    let mut seen = Latency { at_once: 3, waited: [0; 32] };
    seen.waited[4] = 1;
    assert_eq!((seen.quantile(1000), seen.quantile(2000)), (1 << 4, 1 << 31));
}

#[test]
fn priorities_are_64_levels() {
    for level in 0..=u8::MAX {
        let priority = Priority::new(level);
        assert_eq!(priority.map(Priority::level), (level < 64).then_some(level));
    }
    let named =
        [Priority::LOWEST, Priority::LOW, Priority::DEFAULT, Priority::HIGH, Priority::HIGHEST];
    assert!(named.is_sorted() && named[0].level() == 0 && named[4].level() == 63);
    assert_eq!((Priority::default(), Registration::default().priority), (named[2], named[2]));
}

#[test]
fn a_run_for_no_occurrence_is_for_a_time_out() {
    let event = EventId { index: 0, generation: 1 };
    for count in [0, 1, 2, u32::MAX] {
        assert_eq!(Activation { event, count }.timed_out(), count == 0);
    }
}

/// What is inherited is the lower of each; how overload is met is one's own.
#[test]
fn inherited_limits_are_the_lower_ones() {
    let limits =
        |registrations, activations, overload| Limits { registrations, activations, overload };
    let (few, many) = (limits(3, 40, OverflowPolicy::Shed), limits(30, 4, OverflowPolicy::Wait));
    assert_eq!(few.within(many), limits(3, 4, OverflowPolicy::Shed));
    assert_eq!(many.within(few), limits(3, 4, OverflowPolicy::Wait));
    let policy = |children, budget: Option<u64>| Policy {
        children,
        budget: budget.map(Duration::from_micros),
        ..Policy::OPEN
    };
    assert_eq!(policy(2, Some(9)).within(policy(5, Some(4))), policy(2, Some(4)));
    assert_eq!(policy(7, None).within(policy(5, Some(4))), policy(5, Some(4)));
    assert_eq!(policy(7, Some(6)).within(policy(5, None)), policy(5, Some(6)));
    assert_eq!(Policy::default(), Policy::OPEN);
}

/// Each kind is counted for itself, and told once.
#[test]
fn troubles_are_told_by_kind_and_once() {
    let mut core = Core::<u8>::new(());
    core.reserve(1, 2).unwrap();
    let [one, other] = [(); 2].map(|()| core.add_context((), Limits::NONE).unwrap());
    for (times, kind) in Trouble::ALL.into_iter().enumerate() {
        for _ in 0..times {
            let _ = core.report(one, kind, 0).unwrap();
        }
    }
    let troubles = core.take_troubles(one).unwrap();
    for (times, kind) in Trouble::ALL.into_iter().enumerate() {
        assert_eq!(troubles.count(kind), times as u32);
    }
    // The first did not occur.
    let expected: Vec<_> = Trouble::ALL.into_iter().zip(0..).skip(1).collect();
    assert_eq!(troubles.iter().collect::<Vec<_>>(), expected);
    assert_eq!(core.take_troubles(one).unwrap().iter().count(), 0);
    assert_eq!(core.take_troubles(other).unwrap().iter().count(), 0);
}
