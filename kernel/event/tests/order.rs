//! Orders worth reading as examples.

use reflex_event::{Accumulation, ContextId, Core, Next, Outcome, Priority, Registration};

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
    assert_eq!(core.finish().next, Next::Start(l));
    assert_eq!(core.begin().0, "high");
    assert_eq!(core.finish().next, Next::Resume(m));
    assert_eq!(core.finish().next, Next::Idle);
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
        next = core.finish().next;
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
