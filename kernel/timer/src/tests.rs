//! Random programs against a sorted list, and the edges one by one.

use crate::{Chunk, Error, Fired, GRANULARITY_NS, Step, TimerKey, Wheel};
use core::num::NonZeroU64;
use proptest::prelude::*;
use std::vec::Vec;

/// A timer in a wheel that is given room for it.
fn insert<T: Copy>(wheel: &mut Wheel<T>, payload: T) -> Result<TimerKey, Error> {
    if wheel.needs_chunk()? {
        assert_eq!(wheel.insert(payload), Err(Error::TableFull));
        assert!(wheel.supply(Chunk::new(payload).unwrap()).is_none());
    }
    wheel.insert(payload)
}

/// Calls `expire` until there is nothing more to do, which is after no more than `most` calls: what
/// fired, and how many calls moved timers.
#[track_caller]
fn settle<T: Copy>(wheel: &mut Wheel<T>, now: u64, most: usize) -> (Vec<Fired<T>>, usize) {
    let (mut fired, mut cascading) = (Vec::new(), 0);
    for _ in 0..most {
        match wheel.expire(now) {
            Step::Fired(timer) => fired.push(timer),
            Step::Cascading => cascading += 1,
            Step::Idle => return (fired, cascading),
        }
    }
    panic!("it does not come to rest: {cascading} of {most} calls moved timers");
}

/// What the model knows of a timer.
#[derive(Clone, Copy, Debug)]
struct Timer {
    key: TimerKey,
    payload: u32,
    /// Granule and order of arming; what timers fire by.
    due: Option<(u64, u64)>,
    deadline: u64,
    period: u64,
}

/// The wheel and its model, driven together.
struct Pair {
    wheel: Wheel<u32>,
    timers: Vec<Timer>,
    stale: Vec<TimerKey>,
    armings: u64,
    now: u64,
}

impl Pair {
    fn new() -> Self {
        let wheel = Wheel::new(256).unwrap();
        Self { wheel, timers: Vec::new(), stale: Vec::new(), armings: 0, now: 0 }
    }

    fn insert(&mut self) {
        let payload = self.armings as u32 ^ 0xABCD_0000;
        match insert(&mut self.wheel, payload) {
            Ok(key) => {
                assert!(self.timers.iter().all(|timer| timer.key.index != key.index));
                let timer = Timer { key, payload, due: None, deadline: 0, period: 0 };
                self.timers.push(timer);
            }
            Err(error) => {
                assert_eq!(error, Error::TableFull);
                assert_eq!(self.timers.len(), 256);
            }
        }
    }

    fn arm(&mut self, place: usize, deadline: u64, period: u64) {
        let Some(place) = place.checked_rem(self.timers.len()) else { return };
        let key = self.timers[place].key;
        let due = self.wheel.arm(key, deadline, NonZeroU64::new(period)).unwrap();
        self.armings += 1;
        let timer = &mut self.timers[place];
        timer.due = Some((deadline.div_ceil(GRANULARITY_NS).max(self.wheel.target), self.armings));
        assert_eq!(timer.due, Some((due, self.armings)));
        (timer.deadline, timer.period) = (deadline, period);
    }

    fn disarm(&mut self, place: usize) {
        let Some(place) = place.checked_rem(self.timers.len()) else { return };
        let was_armed = self.timers[place].due.take().is_some();
        assert_eq!(self.wheel.disarm(self.timers[place].key), Ok(was_armed));
    }

    fn remove(&mut self, place: usize) {
        let Some(place) = place.checked_rem(self.timers.len()) else { return };
        let timer = self.timers.swap_remove(place);
        assert_eq!(self.wheel.remove(timer.key), Ok(timer.payload));
        self.stale.push(timer.key);
    }

    fn earliest(&mut self) -> Option<&mut Timer> {
        self.timers.iter_mut().filter(|timer| timer.due.is_some()).min_by_key(|timer| timer.due)
    }

    /// Calls `expire` up to `calls` times; true when it came to rest.
    fn expire(&mut self, calls: usize) -> bool {
        let (now, mut fired_here) = (self.now, Vec::new());
        for call in 0..calls {
            // Both ways are the same, where the quick one says anything.
            if call % 2 == 0
                && let Some(payload) = self.wheel.expire_only(now)
            {
                assert_eq!(self.timers.iter().filter(|timer| timer.due.is_some()).count(), 1);
                let timer = self.earliest().expect("one is armed");
                assert_eq!((payload, 0), (timer.payload, timer.period));
                assert!(timer.deadline <= now, "early");
                timer.due = None;
                continue;
            }
            let (step, next) = self.wheel.expire_and_next(now);
            assert_eq!(
                next.map(|next| next.saturating_mul(GRANULARITY_NS)),
                self.wheel.next_expiry()
            );
            match step {
                Step::Cascading => {}
                Step::Idle => {
                    if let Some(timer) = self.earliest() {
                        assert!(timer.due.unwrap().0 > now / GRANULARITY_NS, "forgotten");
                    }
                    return true;
                }
                Step::Fired(fired) => {
                    let armings = self.armings + 1;
                    let timer = self.earliest().expect("nothing is armed");
                    let Fired { key, payload, deadline, count } = fired;
                    assert_eq!(
                        (key, payload, deadline),
                        (timer.key, timer.payload, timer.deadline)
                    );
                    assert!(deadline <= now, "early");
                    assert!(timer.due.unwrap().0 <= now / GRANULARITY_NS);
                    let periods = (now - deadline).checked_div(timer.period);
                    let Some(missed) = periods.map(u128::from) else {
                        assert_eq!(count, 1);
                        timer.due = None;
                        continue;
                    };
                    assert_eq!(u128::from(count), (missed + 1).min(u32::MAX.into()));
                    let next = u128::from(deadline) + (missed + 1) * u128::from(timer.period);
                    timer.deadline = next.min(u64::MAX.into()) as u64;
                    timer.due = Some((timer.deadline.div_ceil(GRANULARITY_NS), armings));
                    assert!(!fired_here.contains(&key), "twice for one now");
                    fired_here.push(key);
                    self.armings = armings;
                }
            }
        }
        false
    }

    fn check(&mut self) {
        let expiry = self.wheel.next_expiry();
        match self.earliest() {
            None => assert!(expiry.is_none() || self.wheel.target != self.wheel.time),
            Some(timer) => {
                let due = timer.due.unwrap().0.saturating_mul(GRANULARITY_NS);
                assert!(expiry.unwrap() <= due, "the timer would be late");
            }
        }
        if let Some(&stale) = self.stale.last() {
            assert_eq!(self.wheel.arm(stale, 0, None), Err(Error::Stale));
            assert_eq!(self.wheel.disarm(stale), Err(Error::Stale));
            assert_eq!(self.wheel.remove(stale), Err(Error::Stale));
        }
    }
}

#[derive(Clone, Debug)]
enum Do {
    Insert,
    Remove(usize),
    /// Which timer, how far ahead of now (or behind, below zero), and a period or 0.
    Arm(usize, i128, u64),
    /// Many for the same time, plus the index times the step.
    ArmAll(i128, u64),
    Disarm(usize),
    /// To this many nanoseconds later, and then so many calls.
    Pass(u64, usize),
    /// To the next expiry.
    PassToNext,
}

/// Spans of every magnitude, and those around multiples of a level's slot.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..5_000,
        (0_u32..64, any::<u64>()).prop_map(|(bits, noise)| noise >> bits),
        (0_u32..9, 1_u64..4, -3_i64..4).prop_map(|(level, slots, off)| {
            (slots << (10 + 6 * level)).saturating_add_signed(off * 512)
        }),
        Just(u64::MAX),
    ]
}

fn program() -> impl Strategy<Value = Vec<Do>> {
    let ahead = || {
        prop_oneof![
            8 => span().prop_map(i128::from),
            1 => span().prop_map(|span| -i128::from(span)),
        ]
    };
    let period = prop_oneof![
        2 => Just(0),
        1 => 1_u64..10_000,
        1 => span().prop_map(|span| span.max(1)),
    ];
    let short = (0_u32..44, any::<u64>()).prop_map(|(bits, noise)| noise >> (20 + bits));
    let step = prop_oneof![
        4 => Just(Do::Insert),
        1 => any::<usize>().prop_map(Do::Remove),
        8 => (any::<usize>(), ahead(), period).prop_map(|(a, b, c)| Do::Arm(a, b, c)),
        2 => (ahead(), prop_oneof![Just(0), 0_u64..100_000]).prop_map(|(a, b)| Do::ArmAll(a, b)),
        2 => any::<usize>().prop_map(Do::Disarm),
        3 => (short, prop_oneof![0_usize..5, Just(100_000)]).prop_map(|(a, b)| Do::Pass(a, b)),
        1 => (span(), Just(100_000)).prop_map(|(a, b)| Do::Pass(a, b)),
        4 => Just(Do::PassToNext),
    ];
    prop::collection::vec(step, 0..250)
}

fn ahead_of(now: u64, ahead: i128) -> u64 {
    (i128::from(now) + ahead).clamp(0, u64::MAX.into()) as u64
}

proptest! {
    #[test]
    fn fires_what_a_sorted_list_would(
        start in span(),
        timers in 0_usize..150,
        program in program(),
    ) {
        let mut pair = Pair::new();
        pair.now = start;
        for _ in 0..timers {
            pair.insert();
        }
        for step in program {
            match step {
                Do::Insert => pair.insert(),
                Do::Remove(place) => pair.remove(place),
                Do::Arm(place, ahead, period) => {
                    pair.arm(place, ahead_of(pair.now, ahead), period);
                }
                Do::ArmAll(ahead, apart) => for place in 0..pair.timers.len() {
                    let ahead = ahead + i128::from(apart) * place as i128;
                    pair.arm(place, ahead_of(pair.now, ahead), 0);
                },
                Do::Disarm(place) => pair.disarm(place),
                Do::Pass(later, calls) => {
                    pair.now = pair.now.saturating_add(later);
                    pair.expire(calls);
                }
                Do::PassToNext => if let Some(next) = pair.wheel.next_expiry() {
                    pair.now = pair.now.max(next);
                    prop_assert!(pair.expire(100_000));
                },
            }
            pair.check();
        }
        // Nothing is left behind when all is disarmed.
        for place in 0..pair.timers.len() {
            pair.disarm(place);
        }
        prop_assert!(pair.expire(2));
        prop_assert_eq!(pair.wheel.next_expiry(), None);
    }

    /// An owner that sleeps until `next_expiry` fires every timer in its granule, and is woken
    /// for nothing at most once a level.
    #[test]
    fn sleeping_until_the_next_expiry_is_enough(
        start in 0_u64..1 << 50,
        spans in prop::collection::vec((0_u32..60, any::<u64>()), 1..60),
    ) {
        let mut wheel = Wheel::new(100).unwrap();
        let _ = wheel.expire(start);
        let deadlines: Vec<u64> =
            spans.iter().map(|(bits, noise)| start + (noise >> (4 + bits))).collect();
        for (number, &deadline) in deadlines.iter().enumerate() {
            let key = insert(&mut wheel, number).unwrap();
            wheel.arm(key, deadline, None).unwrap();
        }
        let (mut now, mut wakings, mut left) = (start, 0, deadlines.len());
        while let Some(next) = wheel.next_expiry() {
            now = now.max(next);
            wakings += 1;
            prop_assert!(wakings <= 10 * deadlines.len());
            for fired in settle(&mut wheel, now, 10 * deadlines.len()).0 {
                prop_assert_eq!(fired.deadline, deadlines[fired.payload]);
                prop_assert!(now >= fired.deadline);
                prop_assert!(now - fired.deadline < GRANULARITY_NS);
                left -= 1;
            }
        }
        prop_assert_eq!(left, 0);
    }
}

fn expect_fired(step: Step<u32>) -> Fired<u32> {
    match step {
        Step::Fired(fired) => fired,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_time_never_comes() {
    let mut wheel = Wheel::new(1).unwrap();
    let key = insert(&mut wheel, 0_u32).unwrap();
    wheel.arm(key, u64::MAX, NonZeroU64::new(1)).unwrap();
    assert_eq!(wheel.next_expiry(), Some(u64::MAX));
    assert_eq!(wheel.expire(u64::MAX - 1), Step::Idle);
    assert_eq!(wheel.expire(u64::MAX), Step::Idle, "its granule ends after it");
    assert_eq!(wheel.disarm(key), Ok(true));
    wheel.arm(key, u64::MAX - 1023, None).unwrap();
    assert_eq!(expect_fired(wheel.expire(u64::MAX)).count, 1);
}

#[test]
fn a_deadline_that_has_passed_fires_at_once() {
    let mut wheel = Wheel::new(1).unwrap();
    let key = insert(&mut wheel, 5_u32).unwrap();
    assert_eq!(wheel.expire(1 << 40), Step::Idle);
    wheel.arm(key, 3, None).unwrap();
    assert_eq!(wheel.next_expiry(), Some(1 << 40));
    assert_eq!(
        wheel.expire(1 << 40),
        Step::Fired(Fired { key, payload: 5, deadline: 3, count: 1 })
    );
    assert_eq!(wheel.expire(1 << 40), Step::Idle);
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn missed_periods_are_counted_and_the_grid_is_kept() {
    let mut wheel = Wheel::new(1).unwrap();
    let key = insert(&mut wheel, 0_u32).unwrap();
    wheel.arm(key, 10_000, NonZeroU64::new(10_000)).unwrap();
    assert_eq!(expect_fired(wheel.expire(10_240)).count, 1);
    assert_eq!(wheel.expire(10_240), Step::Idle);
    let late = expect_fired(wheel.expire(59_999));
    assert_eq!((late.deadline, late.count), (20_000, 4));
    assert_eq!(wheel.expire(60_000), Step::Idle, "60,000 is rounded up to a granule");
    assert_eq!(expect_fired(wheel.expire(60_416)).deadline, 60_000);
    // Hours at once, in a period shorter than a granule.
    wheel.arm(key, 100_000, NonZeroU64::new(100)).unwrap();
    let late = expect_fired(wheel.expire(100_000 + 3_600_000_000_000 * 5));
    assert_eq!(late.count, u32::MAX);
}

#[test]
fn time_that_goes_backward_changes_nothing() {
    let mut wheel = Wheel::new(1).unwrap();
    let key = insert(&mut wheel, 0_u32).unwrap();
    assert_eq!(wheel.expire(1 << 30), Step::Idle);
    wheel.arm(key, (1 << 30) + 5_000, None).unwrap();
    assert_eq!(wheel.expire(0), Step::Idle);
    assert_eq!(wheel.next_expiry(), Some((1 << 30) + 5_120));
    assert_eq!(wheel.expire((1 << 30) + 5_119), Step::Idle);
    assert_eq!(expect_fired(wheel.expire((1 << 30) + 5_120)).key, key);
}

/// Has a timer be the first before those that are armed next, which are all in slots then; it has fired when this
/// returns, in the granule after the wheel's time.
fn with_a_front_before(wheel: &mut Wheel<u32>, arm: impl FnOnce(&mut Wheel<u32>)) {
    let key = insert(wheel, u32::MAX).unwrap();
    assert_eq!(wheel.arm(key, GRANULARITY_NS, None), Ok(1));
    arm(wheel);
    assert_eq!(expect_fired(wheel.expire(GRANULARITY_NS)).key, key);
    wheel.remove(key).unwrap();
}

#[test]
fn a_crowded_slot_is_spread_a_bounded_piece_a_call() {
    const TIMERS: usize = 1_000;
    let mut wheel = Wheel::new(TIMERS + 3).unwrap();
    let deadline = 70 * 64 * GRANULARITY_NS;
    let keys: Vec<_> = (0..TIMERS as u32).map(|n| insert(&mut wheel, n).unwrap()).collect();
    with_a_front_before(&mut wheel, |wheel| {
        for &key in &keys {
            wheel.arm(key, deadline, None).unwrap();
        }
    });
    assert_eq!(wheel.expire(deadline), Step::Cascading);
    // One joins in the middle of it and is the last of its granule; one comes for a time
    // before the slot, which counts as the slot's beginning.
    let (late, past) = (insert(&mut wheel, 7_000).unwrap(), insert(&mut wheel, 7_001).unwrap());
    wheel.arm(late, deadline, None).unwrap();
    wheel.arm(past, 63 * GRANULARITY_NS, None).unwrap();
    wheel.disarm(keys[0]).unwrap();
    wheel.disarm(keys[999]).unwrap();
    let (mut cascading, mut fired) = (1, Vec::new());
    for now in [64 * 64 * GRANULARITY_NS, deadline] {
        let (timers, moves) = settle(&mut wheel, now, 3 * TIMERS);
        cascading += moves;
        fired.extend(timers.iter().map(|timer| (now, timer.payload)));
    }
    // Two levels to come down, three timers a call.
    assert!((TIMERS / 3..=2 * (TIMERS / 3 + 2)).contains(&cascading), "{cascading}");
    let together = (1..999).chain([7_000]).map(|payload| (deadline, payload));
    let expected: Vec<_> =
        [(64 * 64 * GRANULARITY_NS, 7_001)].into_iter().chain(together).collect();
    assert_eq!(fired, expected);
}

#[test]
fn in_the_middle_of_a_cascade_the_next_expiry_is_not_late() {
    let mut wheel = Wheel::new(21).unwrap();
    let slot = 64 * GRANULARITY_NS;
    with_a_front_before(&mut wheel, |wheel| {
        // The earliest of the slot comes to its turn last.
        for late in (0..20_u32).rev() {
            let key = insert(wheel, late).unwrap();
            wheel.arm(key, slot + u64::from(late) * GRANULARITY_NS, None).unwrap();
        }
    });
    for _ in 0..7 {
        assert_eq!(wheel.expire(slot), Step::Cascading, "20 timers, three a call");
        assert_eq!(wheel.next_expiry(), Some(slot));
    }
    assert_eq!(expect_fired(wheel.expire(slot)).payload, 0);
}

/// The timer before all others fires first, whichever it is at the time: one that is armed for an earlier time takes
/// its place, and then it is before those of its granule that came later.
#[test]
fn the_front_gives_way_to_what_is_earlier_and_keeps_its_turn() {
    for ahead in [3, 70, 70 * 64] {
        let mut wheel = Wheel::new(8).unwrap();
        let keys: Vec<_> = (0..6_u32).map(|n| insert(&mut wheel, n).unwrap()).collect();
        let deadline = ahead * GRANULARITY_NS;
        for (key, earlier) in keys.iter().zip([0, 0, 1, 0, 1, 2]) {
            let tick = ahead - earlier;
            assert_eq!(wheel.arm(*key, tick * GRANULARITY_NS, None), Ok(tick));
        }
        assert_eq!(wheel.next_expiry(), Some((ahead - 2) * GRANULARITY_NS));
        // The first of all leaves; what comes next is nobody's to be late for.
        wheel.disarm(keys[5]).unwrap();
        assert!(wheel.next_expiry().unwrap() <= (ahead - 1) * GRANULARITY_NS);
        let fired = settle(&mut wheel, deadline, 20).0;
        assert_eq!(fired.iter().map(|timer| timer.payload).collect::<Vec<_>>(), [2, 4, 0, 1, 3]);
        assert_eq!(wheel.next_expiry(), None);
    }
}

/// However a timer is moved about, alone in its slot or among others, it goes behind those that
/// were armed before.
#[test]
fn arming_anew_goes_to_the_end() {
    let mut wheel = Wheel::new(3).unwrap();
    let keys: Vec<_> = (0..3_u32).map(|n| insert(&mut wheel, n).unwrap()).collect();
    for ahead in [3, 70, 70 * 64] {
        let deadline = ahead * GRANULARITY_NS;
        // The last one twice: it is where it is to go.
        for order in [0, 1, 2, 2, 0] {
            assert_eq!(wheel.arm(keys[order], deadline, None), Ok(ahead));
        }
        let fired = settle(&mut wheel, deadline, 20).0;
        assert_eq!(fired.iter().map(|timer| timer.payload).collect::<Vec<_>>(), [1, 2, 0]);
    }
}

#[test]
fn keys_are_checked() {
    let mut wheel = Wheel::new(1).unwrap();
    let made_up = |index, generation| TimerKey { index, generation };
    for key in [made_up(0, 0), made_up(0, 1), made_up(1_000, 1), made_up(u32::MAX, 1)] {
        assert_eq!(wheel.arm(key, 1, None), Err(Error::Stale));
    }
    let key = insert(&mut wheel, 1_u32).unwrap();
    // What stands for no timer names none, not even the first.
    assert_eq!((key.index, wheel.disarm(made_up(0, 0))), (0, Err(Error::Stale)));
    assert_eq!(wheel.remove(key), Ok(1));
    for generation in 0..4 {
        assert_eq!(wheel.disarm(made_up(key.index, generation)), Err(Error::Stale));
    }
    let next = insert(&mut wheel, 2).unwrap();
    assert_eq!(next.index, key.index);
    assert_eq!(wheel.disarm(key), Err(Error::Stale));
    assert_eq!(wheel.disarm(next), Ok(false));
}

#[test]
fn the_limit_is_a_whole_number_of_chunks() {
    let mut wheel = Wheel::new(129).unwrap();
    let keys: Vec<_> = (0..256).map(|n| insert(&mut wheel, n).unwrap()).collect();
    assert_eq!(insert(&mut wheel, 256), Err(Error::TableFull));
    assert!(wheel.supply(Chunk::new(0).unwrap()).is_some());
    assert_eq!(wheel.remove(keys[200]), Ok(200));
    assert_eq!(insert(&mut wheel, 256).unwrap().index, keys[200].index);
    assert_eq!(insert(&mut Wheel::<u8>::new(0).unwrap(), 0), Err(Error::TableFull));
}

#[test]
fn a_million_timers_fire_in_order() {
    const TIMERS: u32 = 1_000_000;
    let mut wheel = Wheel::new(TIMERS as usize).unwrap();
    let deadline = |n: u32| u64::from(n.wrapping_mul(2_654_435_761)) * 50;
    for n in 0..TIMERS {
        let key = insert(&mut wheel, n).unwrap();
        wheel.arm(key, deadline(n), None).unwrap();
    }
    let fired = settle(&mut wheel, 1 << 50, 10 * TIMERS as usize).0;
    assert_eq!(fired.len(), TIMERS as usize);
    assert!(fired.iter().all(|timer| timer.deadline == deadline(timer.payload)));
    // All were armed in the order of their payloads.
    let order = |timer: &Fired<u32>| (timer.deadline.div_ceil(GRANULARITY_NS), timer.payload);
    assert!(fired.is_sorted_by_key(order));
}

/// A place that has given out all its names is not used any more.
#[test]
fn a_place_without_generations_left_is_retired() {
    let mut wheel = Wheel::new(1).unwrap();
    let first = insert(&mut wheel, 0).unwrap();
    wheel.remove(first).unwrap();
    // As if it had been somebody's for all but the last few times.
    let limit = Chunk::<u32>::SIZE as u32;
    for index in 0..limit {
        wheel.store.entry_mut(index).generation = 0_u32.wrapping_sub(2 * 3);
    }
    let mut names = Vec::from([first]);
    for _ in 0..3 * limit {
        let key = wheel.insert(7).unwrap();
        assert!(wheel.contains(key));
        wheel.remove(key).unwrap();
        names.push(key);
    }
    assert_eq!(wheel.insert(7), Err(Error::TableFull), "every place is used up");
    let all: std::collections::HashSet<_> = names.iter().copied().collect();
    assert_eq!(all.len(), names.len(), "a name was given out twice");
    let made_up = [(0, 0), (0, 1), (0, u32::MAX), (0, u32::MAX - 1)];
    let made_up = made_up.map(|(index, generation)| TimerKey { index, generation });
    for key in names.into_iter().chain(made_up) {
        assert!(!wheel.contains(key));
        assert_eq!(wheel.arm(key, 1, None), Err(Error::Stale));
        assert_eq!(wheel.remove(key), Err(Error::Stale));
    }
}
