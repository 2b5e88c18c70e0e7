//! Contexts that do not compete: held, stopped, waiting, given up.

use crate::parts::{blocked, core, registration, run_all, run_next};
use reflex_event::{
    Accumulation, Attribute, Core, DisabledPolicy, Error, EventId, Finished, Limits, Next, Outcome,
    Wait,
};

/// A handler waits for an event, others run, and when it occurs the handler goes on, in its place
/// by priority.
#[test]
fn a_waiting_context_goes_on_at_its_priority() {
    let (mut core, [a, b]) = core();
    let work = core.register(a, registration(5, Accumulation::Count), "work").unwrap();
    let answer = core.register(a, registration(1, Accumulation::Count), "answer").unwrap();
    let other = core.register(b, registration(3, Accumulation::Count), "other").unwrap();
    core.set_attribute(answer, Attribute::Wakes, true).unwrap();
    let _ = core.activate(work, 1, || 0).unwrap();
    let _ = core.activate(other, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "work");
    assert_eq!(core.wait(other), Err(Error::NotAllowed));
    assert_eq!(core.wait(answer), Ok(Wait::Blocked(Next::Start(b.place()))));
    assert_eq!(core.begin(|| 0).0, "other");
    assert_eq!(core.resume(a), Err(Error::Busy), "it waits, and nobody holds it");
    assert_eq!(core.set_attribute(answer, Attribute::Wakes, false), Err(Error::Busy));
    assert_eq!(core.activate(answer, 2, || 0), Ok(Outcome::Preempt), "`work` is of priority 5");
    assert_eq!(core.preempt(), Some(Next::Resume(a.place())));
    assert_eq!(core.wait(answer), Ok(Wait::Occurred(2)));
    assert_eq!(core.time_out(answer, 0), Ok(Outcome::Continue));
    assert_eq!(core.wait(answer), Ok(Wait::TimedOut));
    assert_eq!(core.finish(), Finished::Next(Next::Resume(b.place())));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
}

/// Of several events any lets it go on; and nobody waits for one that has been unregistered.
#[test]
fn any_of_several_events_wakes() {
    let (mut core, [a]) = core();
    let work = core.register(a, registration(5, Accumulation::Count), "work").unwrap();
    let [one, two] = [1, 2].map(|level| {
        let event = core.register(a, registration(level, Accumulation::Count), "").unwrap();
        core.set_attribute(event, Attribute::Wakes, true).unwrap();
        event
    });
    let _ = core.activate(work, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "work");
    assert_eq!(core.wait(one), Ok(Wait::Blocked(Next::Idle)));
    assert_eq!(core.activate(two, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.preempt(), Some(Next::Resume(a.place())));
    assert_eq!(core.look_up(two).unwrap().pending, 1);
    assert_eq!(core.wait(two), Ok(Wait::Occurred(1)));

    assert_eq!(core.wait(one), Ok(Wait::Blocked(Next::Idle)));
    assert_eq!(core.unregister(one).unwrap().handler, Some(""));
    assert!(core.preemption_due());
    assert_eq!(core.preempt(), Some(Next::Resume(a.place())));
    assert_eq!(core.wait(one), Err(Error::Stale));
}

/// While it is disabled, what occurs lets nobody go on, and is not told.
#[test]
fn a_disabled_event_wakes_nobody() {
    let (mut core, [a]) = core();
    let work = core.register(a, registration(5, Accumulation::Count), "work").unwrap();
    let answer = core.register(a, registration(1, Accumulation::Count), "answer").unwrap();
    core.set_attribute(answer, Attribute::Wakes, true).unwrap();
    let _ = core.disable(answer, DisabledPolicy::Keep).unwrap();
    let _ = core.activate(work, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "work");
    let _ = core.activate(answer, 1, || 0).unwrap();
    assert_eq!(core.wait(answer), Ok(Wait::Blocked(Next::Idle)));
    assert_eq!(core.enable(answer, || 0), Ok((0, Outcome::Preempt)));
    assert_eq!(core.preempt(), Some(Next::Resume(a.place())));
    assert_eq!(core.wait(answer), Ok(Wait::Occurred(1)));
}

/// One that has something to tell already cannot begin or cease to wake: where would that go?
#[test]
fn what_is_pending_keeps_an_event_from_becoming_a_waking_one() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, 1, || 0).unwrap();
    assert_eq!(core.set_attribute(event, Attribute::Wakes, true), Err(Error::Busy));
    assert_eq!(core.clean(event), Ok(1));
    assert_eq!(core.set_attribute(event, Attribute::Wakes, true), Ok(()));
    let _ = core.activate(event, 1, || 0).unwrap();
    assert_eq!(core.set_attribute(event, Attribute::Wakes, false), Err(Error::Busy));
    assert_eq!(core.set_attribute(event, Attribute::Wakes, true), Ok(()), "it is so already");
    assert_eq!(core.unregister(event).unwrap().dropped, 1);
}

/// What takes longer to end says so before: something pending, a time-out that has passed, a wait.
#[test]
fn what_waits_is_known_before_it_is_ended() {
    let (mut core, [a, b]) = core();
    let [plain, other] =
        [a, b].map(|of| core.register(of, registration(5, Accumulation::Count), "").unwrap());
    assert_eq!(core.waits(plain), Ok(false));
    let _ = core.activate(plain, 1, || 0).unwrap();
    assert_eq!((core.waits(plain), core.waits(other)), (Ok(true), Ok(false)));
    assert_eq!(core.clean(plain), Ok(1));
    assert_eq!(core.waits(plain), Ok(false));
    let _ = core.time_out(plain, 0).unwrap();
    assert_eq!(core.waits(plain), Ok(true));
    assert_eq!(core.unregister(plain).unwrap().dropped, 0);
    assert_eq!(core.waits(plain), Err(Error::Stale));
}

/// A context is given up in whatever state it is; its registrations are found and ended; and its
/// place is another's then.
#[test]
fn a_context_is_given_up_in_any_state() {
    type State = fn(&mut Core<&'static str>, EventId, EventId);
    let running: State = |core, _, _| assert_eq!(run_next(core), "work");
    let preempted: State = |core, _, urgent| {
        assert_eq!(run_next(core), "work");
        let _ = core.activate(urgent, 1, || 0).unwrap();
        assert_eq!(run_next(core), "urgent");
    };
    let waiting: State = |core, answer, _| {
        assert_eq!(run_next(core), "work");
        assert_eq!(blocked(core.wait(answer)), Next::Idle);
    };
    let idle: State = |_, _, _| {};
    for (state, has_run) in [(running, true), (preempted, true), (waiting, true), (idle, false)] {
        let (mut core, [a, b]) = core();
        let work = core.register(a, registration(5, Accumulation::Each), "work").unwrap();
        let answer = core.register(a, registration(1, Accumulation::Count), "answer").unwrap();
        let urgent = core.register(b, registration(9, Accumulation::Count), "urgent").unwrap();
        core.set_attribute(answer, Attribute::Wakes, true).unwrap();
        let _ = core.activate(work, 3, || 0).unwrap();
        state(&mut core, answer, urgent);

        let ran = core.running() == Some(a);
        let (handler, next) = core.abandon(a).unwrap();
        assert_eq!((handler, next), (None, ran.then_some(Next::Idle)));
        assert_eq!(core.serving(a), None);
        assert!(core.running() == Some(b) || core.preempt().is_none(), "it does not go on");

        let mut ended = Vec::new();
        while let Some(event) = core.first_of(a).unwrap() {
            ended.push(core.unregister(event).unwrap());
        }
        assert_eq!([ended[0].handler, ended[1].handler], [Some("answer"), Some("work")]);
        assert_eq!(ended[1].dropped, if has_run { 2 } else { 3 });
        let renewed = core.renew(a, Limits::NONE).unwrap();
        assert_eq!(core.stop(a), Err(Error::NoContext), "that one has ended");
        assert_eq!(core.resume(renewed), Ok(Outcome::Continue));
        assert_eq!(core.resume(renewed), Err(Error::Busy));
    }
}

/// A handler that ends its own registration and then panics is given back by the giving up.
#[test]
fn an_ended_handler_is_given_back_when_it_is_given_up() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "a");
    assert_eq!(core.unregister(event).unwrap().handler, None);
    assert_eq!(core.abandon(a), Ok((Some("a"), Some(Next::Idle))));
    assert_eq!(core.registered(), 0);
}

/// A context that was stopped stays so, whatever becomes of its handler.
#[test]
fn a_stopped_context_stays_so_when_its_handler_panics() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Each), "a").unwrap();
    let _ = core.activate(event, 2, || 0).unwrap();
    assert_eq!(run_next(&mut core), "a");
    assert_eq!(core.stop(a), Ok(false), "not yet: its handler runs");
    assert_eq!(core.abandon(a), Ok((None, Some(Next::Idle))));
    assert_eq!(core.resume(a), Ok(Outcome::Continue), "the supervisor lets it go on");
    assert_eq!(core.start(a), Ok(Outcome::Preempt), "and now the one that had stopped it");
    assert_eq!(run_next(&mut core), "a");
}

/// A context is replaced between two activations: none is lost.
#[test]
fn a_stopped_context_keeps_its_activations() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Each), "old").unwrap();
    let _ = core.activate(event, 2, || 0).unwrap();
    assert_eq!(run_next(&mut core), "old");
    assert_eq!(core.stop(a), Ok(false));
    assert_eq!(core.rebind(a, event, "new"), Err(Error::Busy));
    assert_eq!(core.finish(), Finished::Next(Next::Idle));
    let _ = core.activate(event, 1, || 0).unwrap();
    assert_eq!(core.preempt(), None);
    assert_eq!(core.rebind(a, event, "new"), Ok("old"));
    assert_eq!(core.start(a), Ok(Outcome::Preempt));
    assert_eq!(run_all(&mut core), ["new", "new"]);
}

/// What a driver keeps with a context is its own.
#[test]
fn a_driver_finds_what_it_keeps_with_a_context() {
    let mut core = Core::<&str, u8>::new(0);
    core.reserve(1, 2).unwrap();
    let [one, two] = [1, 2].map(|machine| core.add_context(machine, Limits::NONE).unwrap());
    *core.machine(one) += 2;
    assert_eq!((*core.machine(one), *core.machine(two)), (3, 2));
}

/// Held as often as released; what is activated meanwhile is not lost.
#[test]
fn holds_are_counted() {
    let (mut core, [a]) = core();
    let event = core.register(a, registration(5, Accumulation::Count), "a").unwrap();
    let _ = core.activate(event, 1, || 0).unwrap();
    core.suspend(a).unwrap();
    core.suspend(a).unwrap();
    assert_eq!(core.preempt(), None);
    assert_eq!(core.resume(a), Ok(Outcome::Continue));
    assert_eq!(core.resume(a), Ok(Outcome::Preempt));
    assert_eq!(run_next(&mut core), "a");
    assert_eq!(core.suspend(a), Err(Error::Busy), "it runs");
}
