//! Several registrations of one occurrence.

mod common;

use common::{Log, Registering, Teller, kernel, latest, level, told};
use proptest::prelude::*;
use reflex_event::{Error, EventSystem, Registration, Trouble};
use reflex_kind::{Counted, Each, Latest, Source};
use reflex_memory::Shared;
use reflex_testkit::SimKernel;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

#[test]
fn without_registrations_occurrences_are_counted() {
    let (kernel, relay) = kernel();
    let source = latest(&kernel, relay);
    source.deliver(1).unwrap();
    source.deliver_counted(2, 3).unwrap();
    kernel.run_until_idle();
    assert_eq!((source.unheard(), source.registrations()), (4, 0));
}

#[test]
fn an_exclusive_source_refuses_the_second_until_the_first_has_ended() {
    let (kernel, relay) = kernel();
    let source: Source<SimKernel, u32> = Source::exclusive(&kernel, relay, || {}).unwrap();
    let log = Log::default();
    let first = Registering::new(&kernel, &source, &log).on::<Latest>(1).unwrap();
    let second = Registering::new(&kernel, &source, &log).on::<Latest>(2);
    assert_eq!(second.err(), Some(Error::Exclusive));
    assert_eq!(source.registrations(), 1);
    first.unregister();
    Registering::new(&kernel, &source, &log).on::<Latest>(3).unwrap();
    source.deliver(5).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(3, Some(5), 1)]);
}

/// Every registration is told exactly once, the higher priorities first, equal ones in the order
/// in which they registered.
#[test]
fn all_are_told_once_by_priority() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    for (name, priority) in [(1, 10), (2, 40), (3, 10), (4, 63), (5, 0), (6, 40)] {
        let registering = Registering::new(&kernel, &source, &log).priority(priority);
        registering.on::<Latest>(name).unwrap();
    }
    for data in ["a", "b"] {
        source.deliver(data).unwrap();
        kernel.run_until_idle();
        assert_eq!(told(&log), [4, 2, 6, 1, 3, 5].map(|name| (name, Some(data), 1)));
    }
}

/// A low registration's handler that is under way does not keep a high one from a new occurrence,
/// which overtakes the distribution of the one before.
#[test]
fn a_new_occurrence_reaches_the_high_before_the_old_reaches_the_low() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    Registering::new(&kernel, &source, &log).priority(50).on::<Latest>(1).unwrap();
    let (again, left) = (source.clone(), AtomicU32::new(1));
    Registering::new(&kernel, &source, &log)
        .priority(20)
        .doing::<Latest>(2, move |_| {
            if left.swap(0, Relaxed) == 1 {
                again.deliver(2).unwrap();
            }
        })
        .unwrap();
    Registering::new(&kernel, &source, &log).priority(10).on::<Latest>(3).unwrap();
    source.deliver(1).unwrap();
    kernel.run_until_idle();
    let expected =
        [(1, Some(1), 1), (1, Some(2), 1), (2, Some(1), 1), (2, Some(2), 1), (3, Some(2), 2)];
    assert_eq!(told(&log), expected);
}

/// Registrations end in their own handlers and in each other's, in the middle of a distribution.
#[test]
fn registrations_may_end_while_all_are_being_told() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let victims: Arc<Mutex<Vec<Teller<u32>>>> = Arc::default();
    let list = victims.clone();
    let killer = Registering::new(&kernel, &source, &log)
        .priority(60)
        .doing::<Latest>(1, move |_| {
            list.lock().unwrap().drain(..).for_each(|victim| victim.unregister());
        })
        .unwrap();
    for name in 2..5 {
        let victim = Registering::new(&kernel, &source, &log).priority(30).on::<Latest>(name);
        victims.lock().unwrap().push(victim.unwrap());
    }
    Registering::new(&kernel, &source, &log).priority(20).on::<Latest>(9).unwrap();
    source.deliver(1).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(1, Some(1), 1), (9, Some(1), 1)]);
    assert_eq!(source.registrations(), 2);
    killer.unregister();
    source.deliver(2).unwrap();
    kernel.run_until_idle();
    assert_eq!(told(&log), [(9, Some(2), 1)]);
}

/// In a queue every registration gets everything, and one that has no room holds the source up, not
/// the others.
#[test]
fn a_full_registration_holds_the_source_up_when_its_backlog_is_full() {
    let (kernel, relay) = kernel();
    let resumed = Arc::new(AtomicU32::new(0));
    let count = resumed.clone();
    let source = Source::queued(&kernel, relay, 2, move || {
        count.fetch_add(1, Relaxed);
    });
    let (source, log) = (source.unwrap(), Log::default());
    Registering::new(&kernel, &source, &log).priority(50).on::<Each<8>>(1).unwrap();
    // Never runs before the others have been told: its context is made to wait by priority.
    let slow = Registering::new(&kernel, &source, &log).priority(0).on::<Each<1>>(2).unwrap();
    let mut accepted = 0;
    kernel.section(|| {
        for data in 0..4 {
            accepted += u32::from(source.deliver(data).is_ok());
        }
    });
    assert_eq!(accepted, 2);
    assert_eq!(resumed.load(Relaxed), 0);
    kernel.run_until_idle();
    assert_eq!(resumed.load(Relaxed), 1);
    source.deliver(2).unwrap();
    source.deliver(3).unwrap();
    kernel.run_until_idle();
    let mut seen = told(&log);
    seen.sort_by_key(|entry| entry.0);
    let expected = [1, 2].map(|name| [0, 1, 2, 3].map(|data| (name, Some(data), 1)));
    assert_eq!(seen, expected.as_flattened());
    assert_eq!(slow.delivery.pending(), 0);
}

/// What the last registration that waits for it has no room for is kept for that one.
#[test]
fn what_finds_no_room_waits_for_the_last_that_wants_it() {
    let (kernel, relay) = kernel();
    let source = Source::queued(&kernel, relay, 4, || {}).unwrap();
    let log = Log::default();
    Registering::new(&kernel, &source, &log).priority(50).on::<Each<8>>(1).unwrap();
    let slow = Registering::new(&kernel, &source, &log).priority(20).on::<Each<1>>(2).unwrap();
    // Its handler comes after the relay, which finds it full.
    kernel.set_priority(slow.event, level(0)).unwrap();
    kernel.section(|| (0..4).for_each(|data| source.deliver(data).unwrap()));
    kernel.run_until_idle();
    let expected = [1, 2].map(|name| [0, 1, 2, 3].map(|data| (name, Some(data), 1)));
    assert_eq!(told(&log), expected.as_flattened());
    assert_eq!(kernel.troubles(slow.context), [Trouble::SourceThrottled; 3]);
}

/// A registration moves with its priority, also when it has not been told yet.
#[test]
fn a_registration_moves_with_its_priority() {
    let (kernel, relay) = kernel();
    let (source, log) = (latest(&kernel, relay), Log::default());
    let first = Registering::new(&kernel, &source, &log).priority(40).on::<Latest>(1).unwrap();
    Registering::new(&kernel, &source, &log).priority(30).on::<Latest>(2).unwrap();
    kernel.section(|| {
        source.deliver(1).unwrap();
        kernel.set_priority(first.event, level(20)).unwrap();
        first.delivery.set_priority(level(20));
    });
    kernel.run_until_idle();
    assert_eq!(told(&log), [(2, Some(1), 1), (1, Some(1), 1)]);
}

/// Data that is shared lies in event memory once, however many are told, and is given back with the last share.
#[test]
fn shared_data_is_there_once() {
    let (kernel, relay) = kernel();
    let source: Source<SimKernel, Shared<String>> = Source::shared(&kernel, relay).unwrap();
    let log: Log<Shared<String>> = Log::default();
    let pool = kernel.pool(kernel.context((), 1 << 12)).unwrap();
    let before = pool.stats().blocks;
    let tellers: Vec<_> = (0..5)
        .map(|name| Registering::new(&kernel, &source, &log).on::<Latest>(name).unwrap())
        .collect();
    for text in ["one", "two"] {
        source.deliver(Shared::new(pool, text.into()).unwrap()).unwrap();
        let one = pool.stats().blocks;
        kernel.run_until_idle();
        assert_eq!(pool.stats().blocks, one, "nothing is copied");
        let told = told(&log);
        assert_eq!(told.len(), 5);
        assert!(told.iter().all(|(_, data, count)| {
            data.as_ref().is_some_and(|data| **data == text) && *count == 1
        }));
    }
    // Not told any more, both are dropped all the same.
    source.deliver(Shared::new(pool, "three".into()).unwrap()).unwrap();
    source.deliver(Shared::new(pool, "four".into()).unwrap()).unwrap();
    tellers.iter().for_each(Teller::unregister);
    kernel.run_until_idle();
    assert_eq!(pool.stats().blocks, before);
}

/// Handlers of the same priority are told one after the other, and a handler of that priority which has waited
/// longer runs in its turn: the relay goes through a source without keeping others from running.
#[test]
fn equals_of_those_that_are_told_have_their_turn() {
    let (kernel, relay) = kernel();
    let (source, log): (_, Log<u32>) = (Source::plain(&kernel, relay).unwrap(), Log::default());
    let other = kernel.context((), 1 << 12);
    let notes = log.clone();
    let registration = Registration { priority: level(20), ..Registration::default() };
    let equal = kernel
        .register(other, registration, move |(), _| notes.lock().unwrap().push((9, None, 1)))
        .unwrap();
    let wakes = kernel.clone();
    let tell = |name| Registering::new(&kernel, &source, &log).priority(20).on::<Latest>(name);
    let _first = tell(0).unwrap();
    // While it runs, the other becomes ready.
    let second = Registering::new(&kernel, &source, &log).priority(20);
    let _second = second.doing::<Latest>(1, move |_| wakes.activate(equal, 1).unwrap()).unwrap();
    let _rest: Vec<_> = (2..5).map(|name| tell(name).unwrap()).collect();
    source.deliver(7).unwrap();
    kernel.run_until_idle();
    let order: Vec<u32> = told(&log).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(order, [0, 1, 9, 2, 3, 4]);
}

/// What happens to a source in a random program.
#[derive(Clone, Debug)]
enum Do {
    Deliver(u8),
    Register(u8, u8),
    Unregister(u8),
    Move(u8, u8),
    Run,
}

fn program() -> impl Strategy<Value = Vec<Do>> {
    let step = prop_oneof![
        4 => (1u8..4).prop_map(Do::Deliver),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(priority, how)| Do::Register(priority, how)),
        1 => any::<u8>().prop_map(Do::Unregister),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(which, to)| Do::Move(which, to)),
        2 => Just(Do::Run),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// A handler that is registered from one occurrence to the end is told of it once: by number in
    /// a source of the last, one by one and in order in a queue.
    #[test]
    fn everybody_is_told_everything_once(program in program(), which in 0..3u8) {
        let (kernel, relay) = kernel();
        let queue = which == 0;
        let source = match which {
            0 => Source::queued(&kernel, relay, 3, || {}).unwrap(),
            1 => Source::plain(&kernel, relay).unwrap(),
            _ => latest(&kernel, relay),
        };
        let log: Log<u32> = Log::default();
        // Name, registration, occurrences that it was there for.
        let mut live: Vec<(u32, Teller<u32>, u32)> = Vec::new();
        let (mut names, mut number) = (0, 0);
        for step in program {
            match step {
                Do::Deliver(count) => {
                    for _ in 0..count {
                        if source.deliver(number).is_ok() {
                            live.iter_mut().for_each(|teller| teller.2 += 1);
                            number += 1;
                        }
                    }
                }
                Do::Register(priority, how) => {
                    let registering =
                        Registering::new(&kernel, &source, &log).priority(priority % 64);
                    let teller = match how % 3 {
                        0 if !queue => registering.on::<Counted>(names),
                        1 if !queue => registering.on::<Latest>(names),
                        _ => registering.on::<Each<2>>(names),
                    };
                    live.push((names, teller.unwrap(), 0));
                    names += 1;
                }
                Do::Unregister(which) => {
                    if let Some(at) = usize::from(which).checked_rem(live.len()) {
                        let teller = live.swap_remove(at).1;
                        teller.unregister();
                        prop_assert_eq!(teller.delivery.pending(), 0);
                    }
                }
                Do::Move(which, to) => {
                    if let Some(at) = usize::from(which).checked_rem(live.len()) {
                        let teller = &live[at].1;
                        kernel.set_priority(teller.event, level(to % 64)).unwrap();
                        teller.delivery.set_priority(level(to % 64));
                    }
                }
                Do::Run => kernel.run_until_idle(),
            }
        }
        kernel.run_until_idle();
        // Everybody has been told, so there is room for another.
        prop_assert_eq!(source.deliver(number), Ok(()));
        live.iter_mut().for_each(|teller| teller.2 += 1);
        number += 1;
        kernel.run_until_idle();
        prop_assert_eq!(source.registrations() as usize, live.len());
        let seen = told(&log);
        for (name, _, there) in &live {
            let own: Vec<_> = seen.iter().filter(|entry| entry.0 == *name).collect();
            let total: u32 = own.iter().map(|entry| entry.2).sum();
            prop_assert_eq!(total, *there, "{} of {}", total, there);
            let data: Vec<u32> = own.iter().filter_map(|entry| entry.1).collect();
            prop_assert!(data.is_sorted());
            if queue {
                prop_assert!(data.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
            if let Some(last) = data.last() {
                prop_assert_eq!(*last, number - 1);
            }
        }
    }
}
