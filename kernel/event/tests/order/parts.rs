//! What the examples begin with, and how they run handlers.

use reflex_event::{
    Accumulation, Chunk, ContextId, Core, Error, Finished, Limits, Next, Priority, Registration,
    Wait,
};

pub(crate) fn registration(level: u8, accumulation: Accumulation) -> Registration {
    Registration { priority: Priority::new(level).unwrap(), accumulation }
}

/// A core with contexts that have these limits.
pub(crate) fn core_of<const N: usize>(limits: [Limits; N]) -> Core<&'static str> {
    let mut core = Core::new(());
    core.reserve(16, N).unwrap();
    assert!(core.supply(Box::leak(Box::default())).is_none());
    let surplus: &mut Chunk<_> = Box::leak(Box::default());
    assert!(core.supply(surplus).is_some(), "there is room for one");
    for limits in limits {
        let _ = core.add_context((), limits).unwrap();
    }
    core
}

/// A core with contexts that have no limits.
pub(crate) fn core<const N: usize>() -> (Core<&'static str>, [ContextId; N]) {
    let core = core_of([Limits::NONE; N]);
    let contexts = std::array::from_fn(|index| core.context_at(index as u16).unwrap());
    (core, contexts)
}

/// A core with one context, which has limits.
pub(crate) fn sole(limits: Limits) -> (Core<&'static str>, ContextId) {
    let core = core_of([limits]);
    let context = core.context_at(0).unwrap();
    (core, context)
}

/// Begins the handler that is due.
pub(crate) fn run_next(core: &mut Core<&'static str>) -> &'static str {
    assert!(matches!(core.preempt(), Some(Next::Start(_))));
    core.begin(|| 0).0
}

/// Runs what is due, and whatever follows, to its end.
pub(crate) fn run_all(core: &mut Core<&'static str>) -> Vec<&'static str> {
    let mut order = vec![run_next(core)];
    loop {
        match core.finish() {
            Finished::Next(Next::Start(_)) => order.push(core.begin(|| 0).0),
            Finished::Next(Next::Idle) => return order,
            other => panic!("{other:?} where handlers run one after the other"),
        }
    }
}

/// What runs when the handler that waits does not.
pub(crate) fn blocked(wait: Result<Wait, Error>) -> Next {
    match wait {
        Ok(Wait::Blocked(next)) => next,
        other => panic!("{other:?}, not blocked"),
    }
}
