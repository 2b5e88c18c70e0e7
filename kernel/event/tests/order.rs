//! Orders worth reading as examples.

use reflex_event::{
    Accumulation, ContextId, Core, Error, EventId, Finished, Next, Outcome, Priority, Registration,
};

fn registration(level: u8, accumulation: Accumulation) -> Registration {
    Registration { priority: Priority::new(level).unwrap(), accumulation }
}

fn core<const N: usize>() -> (Core<&'static str>, [ContextId; N]) {
    let mut core = Core::new(());
    core.reserve(16, N).unwrap();
    let contexts = core::array::from_fn(|_| core.add_context(()).unwrap());
    (core, contexts)
}

/// L is preempted by M; an event for L of H's priority makes L go on before M.
#[test]
fn a_preempted_context_inherits_a_higher_activation() {
    let (mut core, [l, m]) = core();
    let low = core.register(l, registration(1, Accumulation::Count), "low").unwrap();
    let high = core.register(l, registration(3, Accumulation::Count), "high").unwrap();
    let middle = core.register(m, registration(2, Accumulation::Count), "middle").unwrap();

    assert_eq!(core.activate(low, 1), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Start(l)));
    assert_eq!(core.begin().0, "low");
    assert_eq!(core.activate(middle, 1), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Start(m)));
    assert_eq!(core.begin().0, "middle");

    assert_eq!(core.activate(high, 1), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Resume(l)), "low ends first, at high's priority");
    assert_eq!(core.finish(), Finished::Next(Next::Start(l)));
    assert_eq!(core.begin().0, "high");
    assert_eq!(core.finish(), Finished::Next(Next::Resume(m)));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// Contexts of one priority take turns; an event fired in its own handler starves nobody.
#[test]
fn equals_take_turns() {
    let (mut core, [a, b]) = core();
    let first = core.register(a, registration(5, Accumulation::Each), "a").unwrap();
    let second = core.register(b, registration(5, Accumulation::Each), "b").unwrap();
    let _ = core.activate(first, 2).unwrap();
    let _ = core.activate(second, 1).unwrap();
    let mut order = Vec::new();
    let mut next = core.preempt().unwrap();
    while next != Next::Idle {
        let (name, activation) = core.begin();
        assert_eq!(activation.count, 1);
        order.push(name);
        if order.len() == 2 {
            let _ = core.activate(second, 1).unwrap();
        }
        let Finished::Next(after) = core.finish() else { panic!("nobody unregistered") };
        next = after;
    }
    assert_eq!(order, ["a", "b", "a", "b"]);
}

/// The counter cannot wrap: the occurrence that does not fit is refused, the others stay.
#[test]
fn an_overrun_is_refused() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, u32::MAX).unwrap();
    assert_eq!(core.activate(event, 1), Err(reflex_event::Error::Overrun));
    let _ = core.preempt();
    assert_eq!(core.begin().1.count, u32::MAX);
}

/// Whatever the order in which they are activated, the highest of many goes first.
#[test]
fn the_highest_of_many_goes_first() {
    let (mut core, contexts) = core::<4>();
    let [first, highest, middle, last] = [3, 9, 7, 5].map(|level| {
        let context = contexts[core.registered() as usize];
        core.register(context, registration(level, Accumulation::Count), "").unwrap()
    });
    for event in [first, highest, middle, last] {
        let _ = core.activate(event, 1).unwrap();
    }
    let mut next = core.preempt().unwrap();
    for event in [highest, middle, last, first] {
        assert_eq!(core.begin().1.event, event);
        assert!(matches!(next, Next::Start(_)));
        assert!(!core.preemption_due());
        let Finished::Next(after) = core.finish() else { panic!("nobody unregistered") };
        next = after;
    }
    assert_eq!(next, Next::Idle);
}

/// A name that nobody was given reaches no place that is free.
#[test]
fn made_up_names_are_refused() {
    let (mut core, [a]) = core();
    let used = core.register(a, registration(1, Accumulation::Count), "a").unwrap();
    assert_eq!(core.unregister(used), Ok(Some("a")));
    for index in [used.index, used.index + 1, 255, 256, u32::MAX] {
        for generation in [0, 1, 2, u32::MAX - 1, u32::MAX] {
            let id = EventId { index, generation };
            assert_eq!(core.activate(id, 1), Err(Error::Stale));
            assert_eq!(core.activate_at_once(id, 1).err(), Some(Error::Stale));
            assert_eq!(core.unregister(id), Err(Error::Stale));
            assert_eq!(core.set_priority(id, Priority::HIGH), Err(Error::Stale));
        }
    }
    assert_eq!(core.registered(), 0);
    assert!(!core.preemption_due());
}

/// What releasing a handler leads to may register in its place, and unregister again.
#[test]
fn the_place_of_a_handler_that_is_released_can_be_used_at_once() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(1, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, 1).unwrap();
    assert_eq!(core.preempt(), Some(Next::Start(a)));
    let _ = core.begin();
    assert_eq!(core.unregister(event), Ok(None), "it runs");
    assert_eq!(core.serving(a), Some(event));
    assert_eq!(core.finish(), Finished::Release("a"));
    let again = core.register(a, registration(1, Accumulation::Count), "b").unwrap();
    assert_eq!(again.index, event.index);
    assert_eq!(core.unregister(again), Ok(Some("b")), "it does not run");
    assert_eq!(core.leave(), Next::Idle);
    assert_eq!(core.registered(), 0);
}
