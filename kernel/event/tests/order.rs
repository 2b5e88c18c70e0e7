//! Orders worth reading as examples: what is next, and why. Limits, occurrences and states of
//! contexts have files of their own in `order/`.

#[path = "order/limits.rs"]
mod limits;
#[path = "order/occurrences.rs"]
mod occurrences;
#[path = "order/parts.rs"]
mod parts;
#[path = "order/states.rs"]
mod states;

use parts::{core, registration, run_all, run_next};
use reflex_event::{
    Accumulation, Context, ContextId, Error, EventId, Finished, Next, Outcome, Priority,
};

/// L is preempted by M; an event for L of H's priority makes L go on before M.
#[test]
fn a_preempted_context_inherits_a_higher_activation() {
    let (mut core, [l, m]) = core();
    let low = core.register(l, registration(1, Accumulation::Count), "low").unwrap();
    let high = core.register(l, registration(3, Accumulation::Count), "high").unwrap();
    let middle = core.register(m, registration(2, Accumulation::Count), "middle").unwrap();

    assert_eq!(core.activate(low, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Start(l.place())));
    assert_eq!(core.begin(|| 0).0, "low");
    assert_eq!(core.activate(middle, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Start(m.place())));
    assert_eq!(core.begin(|| 0).0, "middle");

    assert_eq!(core.activate(high, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Resume(l.place())), "low ends first, at high's priority");
    assert_eq!(core.finish(), Finished::Next(Next::Start(l.place())));
    assert_eq!(core.begin(|| 0).0, "high");
    assert_eq!(core.finish(), Finished::Next(Next::Resume(m.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// A context that has what a higher one needs goes on at the higher one's priority, and is
/// preempted again as soon as that has what it needs: none in between delays it.
#[test]
fn inheritance_is_handed_over() {
    let (mut core, [shared, busy, urgent]) = core();
    let slow = core.register(shared, registration(1, Accumulation::Count), "slow").unwrap();
    let asked = core.register(shared, registration(9, Accumulation::Count), "asked").unwrap();
    let middle = core.register(busy, registration(5, Accumulation::Count), "middle").unwrap();
    let high = core.register(urgent, registration(9, Accumulation::Count), "high").unwrap();

    let start = core.start_at_once(slow, 1).expect("it begins on the spot");
    assert_eq!((start.from, start.handler), (None, "slow"));
    let start = core.start_at_once(middle, 1).expect("it begins on the spot");
    assert_eq!((start.from, start.handler), (Some(shared), "middle"));
    let start = core.start_at_once(high, 1).expect("it begins on the spot");
    assert_eq!((start.from, start.handler), (Some(busy), "high"));
    // `high` needs something of the shared context, and ends.
    assert_eq!(core.activate(asked, 1, || 0), Ok(Outcome::Continue), "an equal does not preempt");
    assert_eq!(
        core.finish(),
        Finished::Next(Next::Resume(shared.place())),
        "`slow`, before `middle`"
    );
    assert_eq!(core.finish(), Finished::Next(Next::Start(shared.place())));
    assert_eq!(core.begin(|| 0).0, "asked");
    assert_eq!(core.finish(), Finished::Next(Next::Resume(busy.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// A context that is kept out by another's exclusion makes that other go on.
#[test]
fn an_excluding_context_inherits() {
    let (mut core, [holder, other, middle]) = core();
    let low = core.register(holder, registration(1, Accumulation::Count), "low").unwrap();
    let high = core.register(other, registration(9, Accumulation::Count), "high").unwrap();
    let between = core.register(middle, registration(5, Accumulation::Count), "between").unwrap();
    let _ = core.activate(low, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "low");
    assert_eq!(core.exclude(other), Ok(true));
    assert_eq!(core.exclude(other), Ok(false), "it is excluded already");
    assert_eq!(core.resume(other), Err(Error::Busy), "that is not how it ends");

    assert_eq!(core.activate(between, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(run_next(&mut core), "between");
    assert_eq!(core.activate(high, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(
        core.preempt(),
        Some(Next::Resume(holder.place())),
        "`low` goes on, at `high`'s priority"
    );
    assert_eq!(core.unblock(other, middle), Err(Error::NotAllowed));
    assert_eq!(core.unblock(other, holder), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Start(other.place())));
    assert_eq!(core.begin(|| 0).0, "high");
    assert_eq!(core.finish(), Finished::Next(Next::Resume(middle.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Resume(holder.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// A context that inherits no more than it has keeps its turn.
#[test]
fn inheriting_what_one_has_costs_no_turn() {
    let (mut core, [holder, excluded, equal, urgent]) = core();
    let names = ["low", "own", "kept out", "equal", "urgent"];
    let of = [holder, holder, excluded, equal, urgent];
    let [low, own, kept_out, equal, urgent] = std::array::from_fn(|at| {
        let level = [1, 5, 5, 5, 9][at];
        core.register(of[at], registration(level, Accumulation::Count), names[at]).unwrap()
    });
    let _ = core.activate(low, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "low");
    assert_eq!(core.exclude(excluded), Ok(true));
    let _ = core.activate(own, 1, || 0).unwrap();
    let _ = core.activate(urgent, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "urgent");
    let _ = core.activate(equal, 1, || 0).unwrap();
    let _ = core.activate(kept_out, 1, || 0).unwrap();
    assert_eq!(core.finish(), Finished::Next(Next::Resume(holder.place())), "before `equal`");
}

/// Excluding once more passes priority on at once: what was to start before counts with the rest.
#[test]
fn excluding_once_more_outdoes_what_was_due() {
    let (mut core, [holder, other, third]) = core();
    let low = core.register(holder, registration(1, Accumulation::Each), "low").unwrap();
    let high = core.register(other, registration(9, Accumulation::Count), "high").unwrap();
    let between = core.register(third, registration(5, Accumulation::Count), "between").unwrap();
    let _ = core.activate(low, 2, || 0).unwrap();
    assert_eq!(run_next(&mut core), "low");
    assert_eq!(core.exclude(other), Ok(true));
    let _ = core.activate(high, 1, || 0).unwrap();
    assert_eq!(core.finish(), Finished::Next(Next::Start(holder.place())));
    assert_eq!(core.begin(|| 0).0, "low", "again, with its own priority");
    assert_eq!(core.activate(between, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.exclude(other), Ok(false));
    assert_eq!(core.preempt(), None, "it has the priority of `high` now");
}

/// Contexts of one priority take turns; an event fired in its own handler starves nobody.
#[test]
fn equals_take_turns() {
    let (mut core, [a, b]) = core();
    let first = core.register(a, registration(5, Accumulation::Each), "a").unwrap();
    let second = core.register(b, registration(5, Accumulation::Each), "b").unwrap();
    let _ = core.activate(first, 2, || 0).unwrap();
    let _ = core.activate(second, 1, || 0).unwrap();
    let mut order = vec![run_next(&mut core)];
    for _ in 0..3 {
        if order.len() == 2 {
            let _ = core.activate(second, 1, || 0).unwrap();
        }
        assert!(matches!(core.finish(), Finished::Next(Next::Start(_))));
        let (name, activation) = core.begin(|| 0);
        assert_eq!(activation.count, 1);
        order.push(name);
    }
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
    assert_eq!(order, ["a", "b", "a", "b"]);
}

/// While a better one is due, none that is only better than the running one begins on the spot.
#[test]
fn what_is_due_keeps_others_from_beginning() {
    let (mut core, [a, b, c]) = core();
    let low = core.register(a, registration(1, Accumulation::Count), "low").unwrap();
    let lifts = core.register(a, registration(9, Accumulation::Count), "lifts").unwrap();
    let due = core.register(b, registration(5, Accumulation::Count), "due").unwrap();
    let other = core.register(c, registration(3, Accumulation::Count), "other").unwrap();
    let _ = core.activate(low, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "low");
    let _ = core.activate(lifts, 1, || 0).unwrap();
    assert_eq!(core.activate(due, 1, || 0), Ok(Outcome::Continue));
    assert_eq!(core.clean(lifts), Ok(1));
    assert!(core.preemption_due());
    assert!(core.start_at_once(other, 1).is_none());
    assert_eq!(core.preempt(), Some(Next::Start(b.place())));
}

/// A context that leaves the ready from among them, and then comes and is preempted, goes on in its
/// turn.
#[test]
fn a_context_that_has_left_the_ready_is_preempted_like_others() {
    let (mut core, [a, b, c, d]) = core();
    let [first, left, third, again, urgent] = std::array::from_fn(|at| {
        let level = [5, 5, 5, 7, 9][at];
        core.register([a, b, c, b, d][at], registration(level, Accumulation::Count), "").unwrap()
    });
    assert!(core.start_at_once(urgent, 1).is_some());
    for event in [first, left, third] {
        assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Continue));
    }
    assert_eq!(core.clean(left), Ok(1));
    assert_eq!(core.finish(), Finished::Next(Next::Start(a.place())));
    let _ = core.begin(|| 0);
    assert_eq!(core.start_at_once(again, 1).unwrap().from, Some(a));
    assert_eq!(core.start_at_once(urgent, 1).unwrap().from, Some(b));
    assert_eq!(core.finish(), Finished::Next(Next::Resume(b.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Resume(a.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Start(c.place())));
    let _ = core.begin(|| 0);
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// Whatever the order in which they are activated, the highest of many goes first.
#[test]
fn the_highest_of_many_goes_first() {
    let (mut core, contexts) = core::<4>();
    let names = ["third", "highest", "second", "last"];
    let levels = [5, 9, 7, 3];
    for at in 0..4 {
        let registration = registration(levels[at], Accumulation::Count);
        let event = core.register(contexts[at], registration, names[at]).unwrap();
        let _ = core.activate(event, 1, || 0).unwrap();
    }
    assert_eq!(run_all(&mut core), ["highest", "second", "third", "last"]);
}

/// A handler that goes through others of its priority yields to each, and is next after it; one that has waited
/// longer, or is better, comes first.
#[test]
fn a_handler_yields_to_its_equals() {
    let (mut core, [walker, a, b, c]) = core();
    let [walk, first, second, waits, above] =
        [(walker, 5), (a, 5), (b, 5), (c, 5), (b, 6)].map(|(context, level)| {
            core.register(context, registration(level, Accumulation::Count), "one").unwrap()
        });
    assert!(core.start_yielding(walk, 1).is_none(), "nobody yields");
    let _ = core.start_at_once(walk, 1).expect("it begins on the spot");
    assert!(core.start_at_once(first, 1).is_none(), "an equal does not preempt");
    for event in [first, second] {
        let start = core.start_yielding(event, 1).expect("it begins on the spot");
        assert_eq!((start.from, start.activation.event), (Some(walker), event));
        assert_eq!(core.finish(), Finished::Next(Next::Resume(walker.place())));
    }
    assert_eq!(core.activate(waits, 1, || 0), Ok(Outcome::Continue));
    assert!(core.start_yielding(first, 1).is_none(), "another has waited longer");
    assert_eq!(core.start_yielding(above, 1).expect("a better one").from, Some(walker));
    // The one that has yielded goes before the one that waits.
    assert_eq!(core.finish(), Finished::Next(Next::Resume(walker.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Start(c.place())));
}

/// A name that nobody was given reaches no place that is free.
#[test]
fn made_up_names_are_refused() {
    let (mut core, [a]) = core();
    let used = core.register(a, registration(1, Accumulation::Count), "a").unwrap();
    assert_eq!(core.unregister(used).unwrap().handler, Some("a"));
    for index in [used.index, used.index + 1, 255, 256, u32::MAX] {
        for generation in [0, 1, 2, u32::MAX - 1, u32::MAX] {
            let id = EventId { index, generation };
            assert_eq!(core.activate(id, 1, || 0), Err(Error::Stale));
            assert!(core.start_at_once(id, 1).is_none());
            assert!(core.resume_at_once(id, 1).is_none());
            assert_eq!(core.unregister(id), Err(Error::Stale));
            assert_eq!(core.set_priority(id, Priority::HIGH), Err(Error::Stale));
            assert_eq!(core.handler(id), Err(Error::Stale));
            assert_eq!(core.next_of(id), Err(Error::Stale));
        }
    }
    for (index, generation) in [(0, 1), (0, 1 << 16), (0, 1 << 32), (1, 0), (256, 0), (u16::MAX, 0)]
    {
        let nobody = ContextId::new(index, generation);
        assert_eq!(core.suspend(nobody), Err(Error::NoContext));
        assert_eq!(core.serving(nobody), None);
    }
    assert_eq!(core.context_at(0), Ok(a));
    assert_eq!(core.context_at(1), Err(Error::NoContext));
    assert_eq!(core.registered(), 0);
    assert!(!core.preemption_due());
    assert_eq!(format!("{:?}", Context::<u8>::new(a)), "Context(0.0)");
}

/// A context that was preempted by one that was better only for a while waits in front of its
/// equals, and they keep their turns behind it.
#[test]
fn the_preempted_of_a_lowered_rank_go_before_their_equals() {
    let (mut core, [a, b, c, d, e]) = core();
    let names = ["slow", "lifted", "lift", "equal", "last", "urgent"];
    let of = [a, b, b, c, d, e];
    let [slow, lifted, lift, equal, last, urgent] = std::array::from_fn(|at| {
        let level = [7, 5, 8, 5, 5, 9][at];
        core.register(of[at], registration(level, Accumulation::Count), names[at]).unwrap()
    });
    // `lifted` is kept running by `lift`, over `slow`; its equals wait.
    core.suspend(b).unwrap();
    let _ = core.activate(lifted, 1, || 0).unwrap();
    let _ = core.resume(b).unwrap();
    assert_eq!(run_next(&mut core), "lifted");
    assert!(core.start_at_once(slow, 1).is_some());
    for event in [equal, last] {
        assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Continue));
    }
    assert_eq!(core.activate(lift, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Resume(b.place())), "`lifted` inherits");
    assert_eq!(core.clean(lift), Ok(1));
    assert!(core.start_at_once(urgent, 1).is_none(), "`slow` is due");
    assert_eq!(core.preempt(), Some(Next::Resume(a.place())));
    // `lifted` is in front of its equals: the one behind it leaves, and comes back to the end.
    assert_eq!(core.clean(equal), Ok(1));
    assert_eq!(core.activate(equal, 1, || 0), Ok(Outcome::Continue));
    assert_eq!(core.finish(), Finished::Next(Next::Resume(b.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Start(d.place())));
    assert_eq!(core.begin(|| 0).0, "last");
    assert_eq!(core.finish(), Finished::Next(Next::Start(c.place())));
    assert_eq!(core.begin(|| 0).0, "equal");
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// A context with a priority that is lowered while it runs waits behind the one it had preempted,
/// and can be held there.
#[test]
fn a_lowered_one_waits_and_can_be_held() {
    let (mut core, [a, b, c, d]) = core();
    let [slow, lowered, equal, urgent] = std::array::from_fn(|at| {
        let level = [7, 5, 5, 9][at];
        core.register([a, b, c, d][at], registration(level, Accumulation::Count), "").unwrap()
    });
    // It has been among the ready before, and has left them.
    assert!(core.start_at_once(urgent, 1).is_some());
    for event in [equal, lowered] {
        assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Continue));
    }
    for event in [lowered, equal] {
        assert_eq!(core.clean(event), Ok(1));
    }
    assert_eq!(core.finish(), Finished::Next(Next::Idle));

    assert!(core.start_at_once(slow, 1).is_some());
    assert_eq!(core.set_priority(lowered, Priority::new(8).unwrap()), Ok(Outcome::Continue));
    assert!(core.start_at_once(lowered, 1).is_some());
    assert_eq!(core.set_priority(lowered, Priority::new(5).unwrap()), Ok(Outcome::Continue));
    assert_eq!(core.exclude(c), Ok(true));
    assert_eq!(core.unblock(c, b), Ok(Outcome::Preempt), "its priority is its event's from here");
    assert_eq!(core.preempt(), Some(Next::Resume(a.place())));
    core.suspend(b).unwrap();
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
    assert_eq!(core.resume(b), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Resume(b.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// What releasing a handler leads to may register in its place, and unregister again.
#[test]
fn the_place_of_a_handler_that_is_released_can_be_used_at_once() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(1, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "a");
    assert_eq!(core.unregister(event).unwrap().handler, None, "it runs");
    assert_eq!(core.serving(a), Some(event));
    assert_eq!(core.finish(), Finished::Release("a"));
    let again = core.register(a, registration(1, Accumulation::Count), "b").unwrap();
    assert_eq!(again.index, event.index);
    assert_eq!(core.unregister(again).unwrap().handler, Some("b"), "it does not run");
    assert_eq!(core.leave(), Next::Idle);
    assert_eq!(core.registered(), 0);
}
