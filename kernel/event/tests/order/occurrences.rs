//! What comes of an occurrence: told, counted, asked about, taken.

use crate::parts::{core, registration, run_next};
use reflex_event::{
    Accumulation, Attribute, ContextId, Core, DisabledPolicy, Error, Finished, Next, Outcome,
    Priority,
};

/// The counter cannot wrap: the occurrence that does not fit is refused, the others stay.
#[test]
fn an_overrun_is_refused() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, u32::MAX, || 0).unwrap();
    assert_eq!(core.activate(event, 1, || 0), Err(Error::Overrun));
    assert_eq!(core.accept(event, 1, 0), Err(Error::Overrun));
    let _ = core.preempt();
    assert_eq!(core.begin(|| 0).1.count, u32::MAX);
}

/// A handler is told that its event did not occur in time; if it has meanwhile, of that instead.
#[test]
fn a_time_out_is_told_unless_the_event_has_occurred() {
    let (mut core, [a, b]) = core();
    let silent = core.register(a, registration(1, Accumulation::Count), "silent").unwrap();
    let late = core.register(b, registration(1, Accumulation::Count), "late").unwrap();
    assert_eq!(core.time_out(silent, 0), Ok(Outcome::Preempt));
    assert_eq!(core.time_out(silent, 0), Ok(Outcome::Continue), "once is enough");
    assert_eq!(core.preempt(), Some(Next::Start(a.place())));
    let (_, told) = core.begin(|| 0);
    assert!(told.timed_out());
    let _ = core.time_out(late, 0).unwrap();
    let _ = core.activate(late, 2, || 0).unwrap();
    assert_eq!(core.finish(), Finished::Next(Next::Start(b.place())));
    let (_, told) = core.begin(|| 0);
    assert_eq!((told.timed_out(), told.count), (false, 2));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
    let _ = core.disable(late, DisabledPolicy::Keep).unwrap();
    assert_eq!(core.time_out(late, 0), Ok(Outcome::Continue), "it is not to be told of anything");
    assert_eq!(core.enable(late, || 0), Ok((0, Outcome::Continue)));
}

/// Disabled, an event keeps what occurs, or counts it for the caller that enables it, or forgets
/// it.
#[test]
fn disabled_events_keep_count_or_discard() {
    for (meanwhile, counted, told) in [
        (DisabledPolicy::Keep, 0, Some(5)),
        (DisabledPolicy::Count, 5, None),
        (DisabledPolicy::Discard, 0, None),
    ] {
        let (mut core, [a]) = core();
        let event = core.register(a, registration(1, Accumulation::Count), "a").unwrap();
        let _ = core.activate(event, 2, || 0).unwrap();
        assert_eq!(core.disable(event, meanwhile), Ok(Outcome::Continue));
        assert_eq!(core.preempt(), None);
        let _ = core.activate(event, 3, || 0).unwrap();
        assert_eq!(core.look_up(event).unwrap().disabled, Some(meanwhile));
        let (was, _) = core.enable(event, || 0).unwrap();
        assert_eq!(was, counted);
        let next = core.preempt();
        assert_eq!(next.map(|_| core.begin(|| 0).1.count), told);
    }
}

/// The watcher of an event is asked about each occurrence, and about none that is not told.
#[test]
fn a_watcher_is_asked_first() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(1, Accumulation::Count), "a").unwrap();
    core.set_attribute(event, Attribute::Watched, true).unwrap();
    assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Watched));
    assert_eq!(core.activate(event, 0, || 0), Ok(Outcome::Continue));
    assert_eq!(core.look_up(event).unwrap().pending, 0);
    assert_eq!(core.accept(event, 1, 0), Ok(Outcome::Preempt));
    let _ = core.disable(event, DisabledPolicy::Discard).unwrap();
    assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Continue));
}

/// A context that runs no handlers: its taker is told once, takes by priority, and is told again
/// after it has found nothing left.
#[test]
fn activations_are_taken_and_the_taker_told_once() {
    let (mut core, [ring, reader]) = core();
    let low = core.register(ring, registration(1, Accumulation::Each), "low").unwrap();
    let high = core.register(ring, registration(2, Accumulation::Count), "high").unwrap();
    let ready = core.register(reader, registration(1, Accumulation::Each), "ready").unwrap();
    assert_eq!(core.dequeue(ring), Err(Error::NotAllowed));
    let _ = core.activate(low, 2, || 0).unwrap();
    // There is something already: it is told at once, even if somebody watches the telling.
    core.set_attribute(ready, Attribute::Watched, true).unwrap();
    assert_eq!(core.set_taken(ring, Some(ready), 0), Ok(Outcome::Preempt));
    assert_eq!(run_next(&mut core), "ready");
    let _ = core.activate(high, 3, || 0).unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| core.dequeue(ring).unwrap())
        .map(|taken| (taken.event, taken.count))
        .collect();
    assert_eq!(taken, [(high, 3), (low, 1), (low, 1)]);
    assert_eq!(core.look_up(ready).unwrap().pending, 0, "told once");
    let _ = core.activate(high, 1, || 0).unwrap();
    assert_eq!(core.look_up(ready).unwrap().pending, 1, "told again");
    assert_eq!(core.resume(ring), Err(Error::Busy), "it is taken from for good");
}

/// A context that excludes one that is taken from inherits what is next there, also over what was
/// to begin: whether that is taken, or the taker named anew.
#[test]
fn what_is_next_to_be_taken_outdoes_what_was_due() {
    type Next = fn(&mut Core<&'static str>, ContextId);
    let taken: Next = |core, ring| assert!(core.dequeue(ring).unwrap().is_some());
    let named: Next = |core, ring| assert_eq!(core.set_taken(ring, None, 0), Ok(Outcome::Continue));
    for next in [taken, named] {
        let (mut core, [ring, holder, other]) = core();
        let each = core.register(ring, registration(9, Accumulation::Each), "each").unwrap();
        let low = core.register(holder, registration(1, Accumulation::Each), "low").unwrap();
        let due = core.register(other, registration(5, Accumulation::Count), "due").unwrap();
        let _ = core.set_taken(ring, None, 0).unwrap();
        let _ = core.activate(each, 3, || 0).unwrap();
        let _ = core.activate(low, 2, || 0).unwrap();
        assert_eq!(run_next(&mut core), "low");
        assert_eq!(core.exclude(ring), Ok(true));
        assert!(matches!(core.finish(), Finished::Next(_)));
        assert_eq!(core.begin(|| 0).0, "low", "again, with its own priority");
        assert_eq!(core.activate(due, 1, || 0), Ok(Outcome::Preempt));
        next(&mut core, ring);
        assert_eq!(core.preempt(), None, "`low` has the priority of `each` now");
    }
}

/// How long an activation has waited is known by priority, and while its handler runs.
#[test]
fn waits_are_measured() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Count), "a").unwrap();
    core.set_attribute(event, Attribute::Timed, true).unwrap();
    let _ = core.activate(event, 1, || 1_000).unwrap();
    let _ = core.activate(event, 1, || 1_003).unwrap();
    let _ = core.preempt();
    assert_eq!(core.begin(|| 1_005).1.count, 2);
    assert_eq!(core.since(), Some(1_000), "the oldest occurrence counts");
    let latency = core.latency(Priority::new(5).unwrap());
    assert_eq!((latency.total(), latency.waited[3]), (1, 1), "5 is from 4 up to 8");
    assert_eq!(latency.quantile(1000), 8);
}
