//! Keyed timers over a simulated kernel.

use proptest::prelude::*;
use reflex_event::{Context, Error, EventSystem, Instant, Priority};
use reflex_keyed_timers::{KeyedTimers, Refused};
use reflex_testkit::{Clock, SimKernel};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const CAPACITY: usize = 6;
/// Deadlines are rounded up to these nanoseconds.
const GRANULE: u64 = 1_024;

struct World {
    clock: Clock,
    kernel: SimKernel,
    context: Context<()>,
    timers: KeyedTimers<SimKernel, u32>,
    told: Arc<Mutex<Vec<(u64, u32)>>>,
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

impl World {
    fn new(capacity: usize) -> Self {
        let clock = Clock::default();
        let kernel = SimKernel::new(clock.clone(), 1);
        let context = kernel.context((), 1 << 14);
        let told = Arc::new(Mutex::new(Vec::new()));
        let note = told.clone();
        let timers =
            KeyedTimers::new(&kernel, context, Priority::LOW, capacity, move |(), key, payload| {
                note.lock().unwrap().push((key, payload));
            });
        Self { clock, context, timers: timers.unwrap(), kernel, told }
    }

    /// Lets the time come to `nanos`, with each of the kernel's timers on the way.
    fn advance(&self, nanos: u64) {
        while let Some(next) = self.kernel.next_timer().filter(|next| next.as_nanos() <= nanos) {
            self.clock.set(next);
            self.kernel.fire_timers();
            self.kernel.run_until_idle();
        }
        self.clock.set(at(nanos));
    }

    fn told(&self) -> Vec<(u64, u32)> {
        core::mem::take(&mut self.told.lock().unwrap())
    }
}

#[test]
fn each_is_told_with_its_key_and_payload_when_it_is_due() {
    let world = World::new(CAPACITY);
    for (key, deadline, payload) in [(7, 90_000, 1), (8, 30_000, 2), (9, 60_000, 3)] {
        assert_eq!(world.timers.set(key, at(deadline), payload), Ok(None));
    }
    assert_eq!(world.timers.set(7, at(10_000), 4), Ok(Some(1)));
    assert_eq!(world.timers.move_to(9, at(20_000)), Ok(()));
    assert_eq!(world.timers.cancel(8), Ok(2));
    assert_eq!(world.timers.cancel(8), Err(Refused::NotSet));
    assert_eq!(world.timers.move_to(8, at(1)), Err(Refused::NotSet));
    assert_eq!((world.timers.get(9), world.timers.get(8), world.timers.len()), (Some(3), None, 2));
    world.advance(9_999);
    assert_eq!(world.told(), []);
    world.advance(100_000);
    assert_eq!(world.told(), [(7, 4), (9, 3)]);
    assert!(world.timers.is_empty());
    let counters = world.timers.counters();
    assert_eq!((counters.set, counters.expired, counters.cancelled), (4, 2, 1));
    // What has passed is due at once.
    world.timers.set(1, at(0), 9).unwrap();
    world.advance(100_000);
    assert_eq!(world.told(), [(1, 9)]);
}

#[test]
fn one_more_than_there_is_room_for_is_refused_and_nothing_changes() {
    let world = World::new(2);
    world.timers.set(1, at(5_000), 1).unwrap();
    world.timers.set(2, at(6_000), 2).unwrap();
    assert_eq!(world.timers.set(3, at(1), 3), Err(Refused::Full));
    assert_eq!(world.timers.set(2, at(4_000), 4), Ok(Some(2)), "one that is set has its place");
    assert_eq!(world.timers.counters().refused, 1);
    world.advance(10_000);
    assert_eq!(world.told(), [(2, 4), (1, 1)]);
    assert_eq!(World::new(0).timers.capacity(), 1);
}

/// They end with the registration, and with the context.
#[test]
fn ended_timers_say_so() {
    let world = World::new(2);
    world.timers.set(1, at(5_000), 1).unwrap();
    world.kernel.unregister(world.timers.event()).unwrap();
    assert_eq!(world.timers.set(2, at(1), 2), Err(Refused::Ended));
    assert_eq!(world.timers.move_to(1, at(1)), Err(Refused::Ended));
    assert_eq!(world.timers.cancel(1), Ok(1));
    let world = World::new(2);
    world.timers.set(1, at(5_000), 1).unwrap();
    world.kernel.end(world.context);
    assert_eq!(world.timers.set(1, at(1), 2), Err(Refused::Ended));
    world.advance(10_000);
    assert_eq!(world.told(), []);
}

#[test]
fn a_context_that_is_not_there_gets_none() {
    let kernel = SimKernel::new(Clock::default(), 1);
    let nowhere = Context::<()>::new(reflex_event::ContextId::new(9, 0));
    let made = KeyedTimers::<_, u32>::new(&kernel, nowhere, Priority::LOW, 1, |(), _, _| {});
    assert_eq!(made.err(), Some(Error::NoContext));
}

/// Deadlines that are due together are told in runs of a few, with others of the same priority in between.
#[test]
fn many_that_are_due_at_once_keep_nobody_waiting() {
    let world = World::new(100);
    let order = world.told.clone();
    let other = world.kernel.context((), 1 << 12);
    let registration = reflex_event::Registration {
        priority: Priority::LOW,
        ..reflex_event::Registration::default()
    };
    let noting = move |(): &mut (), _| order.lock().unwrap().push((u64::MAX, 0));
    let other = world.kernel.register(other, registration, noting).unwrap();
    for key in 0..100 {
        world.timers.set(key, at(5_000), 1).unwrap();
    }
    world.clock.set(at(10_000));
    world.kernel.fire_timers();
    world.kernel.activate(other, 1).unwrap();
    world.kernel.run_until_idle();
    let told = world.told();
    assert_eq!(told.len(), 101);
    assert!(told.iter().position(|(key, _)| *key == u64::MAX) <= Some(8), "{told:?}");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Set(u64, u64),
    Move(u64, u64),
    Cancel(u64),
    Advance(u64),
}

/// Near, far, and very far times.
fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_000_u64, 0..1_000_000_u64, 0..10_000_000_000_u64]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..9_u64, delay()).prop_map(|(key, delay)| Step::Set(key << 33 | key, delay)),
        2 => (0..9_u64, delay()).prop_map(|(key, delay)| Step::Move(key << 33 | key, delay)),
        1 => (0..9_u64).prop_map(|key| Step::Cancel(key << 33 | key)),
        4 => delay().prop_map(Step::Advance),
    ]
}

proptest! {
    /// Each deadline that is set, and neither cancelled nor replaced, is told once: not before it is due, and no
    /// later than the next granule; in the order of granules.
    #[test]
    fn nothing_is_early_late_lost_or_doubled(steps in prop::collection::vec(step(), 0..80)) {
        let world = World::new(CAPACITY);
        let mut model: BTreeMap<u64, (u64, u32)> = BTreeMap::new();
        let mut now = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let payload = number as u32;
            match step {
                Step::Set(key, delay) => {
                    let expected = if model.contains_key(&key) || model.len() < CAPACITY {
                        Ok(model.insert(key, (now + delay, payload)).map(|(_, before)| before))
                    } else {
                        Err(Refused::Full)
                    };
                    prop_assert_eq!(world.timers.set(key, at(now + delay), payload), expected);
                }
                Step::Move(key, delay) => {
                    let set = model.get_mut(&key).map(|(deadline, _)| *deadline = now + delay);
                    let expected = set.ok_or(Refused::NotSet);
                    prop_assert_eq!(world.timers.move_to(key, at(now + delay)), expected);
                }
                Step::Cancel(key) => {
                    let expected = model.remove(&key).map(|(_, payload)| payload);
                    prop_assert_eq!(world.timers.cancel(key), expected.ok_or(Refused::NotSet));
                }
                Step::Advance(delay) => {
                    now += delay;
                    world.advance(now);
                    let told = world.told();
                    let mut last = 0;
                    for (key, payload) in told {
                        let (deadline, expected) = model.remove(&key).expect("it was set");
                        prop_assert_eq!(payload, expected);
                        prop_assert!(deadline <= now, "early");
                        prop_assert!(deadline.div_ceil(GRANULE) >= last, "out of order");
                        last = deadline.div_ceil(GRANULE);
                    }
                    for (deadline, _) in model.values() {
                        prop_assert!(deadline.next_multiple_of(GRANULE) > now, "late");
                    }
                }
            }
            prop_assert_eq!(world.timers.len(), model.len());
            for (key, (_, payload)) in &model {
                prop_assert_eq!(world.timers.get(*key), Some(*payload));
            }
        }
    }
}
