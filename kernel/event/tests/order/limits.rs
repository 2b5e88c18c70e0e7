//! What becomes of activations beyond a limit, and which context is told.

use crate::parts::{core_of, registration, run_all, run_next, sole};
use reflex_event::{
    Accumulation, Error, Finished, Limits, Next, Outcome, OverflowPolicy, Priority, Registration,
    Trouble,
};

/// Beyond its limit a context's activations wait, first come, first served, whatever their
/// priority; those within it go by priority.
#[test]
fn what_waits_for_room_keeps_its_order() {
    let (mut core, a) = sole(Limits { activations: 2, ..Limits::NONE });
    core.suspend(a).unwrap();
    for (level, name) in [(1, "first"), (2, "second"), (3, "third"), (9, "fourth")] {
        let event = core.register(a, registration(level, Accumulation::Count), name).unwrap();
        assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Continue));
    }
    assert_eq!(core.take_troubles(a).unwrap().count(Trouble::LimitReached), 2);
    assert_eq!(core.resume(a), Ok(Outcome::Preempt));
    // "third" gets in when "second" leaves, and "fourth" after it.
    assert_eq!(run_all(&mut core), ["second", "third", "fourth", "first"]);
}

/// A queued activation keeps its room when its priority changes: it does not go behind those that
/// wait for some.
#[test]
fn a_changed_priority_keeps_its_room() {
    let (mut core, a) = sole(Limits { activations: 1, ..Limits::NONE });
    core.suspend(a).unwrap();
    let queued = core.register(a, registration(1, Accumulation::Count), "queued").unwrap();
    let parked = core.register(a, registration(5, Accumulation::Count), "parked").unwrap();
    let _ = core.activate(queued, 1, || 0).unwrap();
    let _ = core.activate(parked, 1, || 0).unwrap();
    assert_eq!(core.set_priority(queued, Priority::HIGHEST), Ok(Outcome::Continue));
    let _ = core.resume(a).unwrap();
    assert_eq!(run_all(&mut core), ["queued", "parked"]);
}

/// What gets room counts at once, also against what was to begin next.
#[test]
fn what_gets_room_outdoes_what_was_due() {
    let mut core = core_of([Limits { activations: 1, ..Limits::NONE }, Limits::NONE]);
    let [a, b] = [0, 1].map(|index| core.context_at(index).unwrap());
    let work = core.register(a, registration(1, Accumulation::Count), "work").unwrap();
    let late = core.register(a, registration(1, Accumulation::Count), "late").unwrap();
    let parked = core.register(a, registration(9, Accumulation::Count), "parked").unwrap();
    let other = core.register(b, registration(5, Accumulation::Count), "other").unwrap();
    let _ = core.activate(work, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "work");
    assert_eq!(core.time_out(late, 0), Ok(Outcome::Continue));
    assert_eq!(core.activate(parked, 1, || 0), Ok(Outcome::Continue), "it waits for room");
    assert_eq!(core.activate(other, 1, || 0), Ok(Outcome::Preempt));
    assert_eq!(core.forget_time_out(late), Ok(()));
    assert_eq!(core.preempt(), None, "`work` has the priority of `parked` now");
}

/// A context keeps its turn when an activation of its is taken back, if one that gets the room is
/// as high.
#[test]
fn what_gets_room_in_anothers_place_keeps_the_turn() {
    let mut core = core_of([Limits { activations: 1, ..Limits::NONE }, Limits::NONE, Limits::NONE]);
    let [a, b, c] = [0, 1, 2].map(|index| core.context_at(index).unwrap());
    let [cleaned, parked, other, urgent] = std::array::from_fn(|at| {
        let level = [5, 5, 5, 9][at];
        let name = ["cleaned", "parked", "other", "urgent"][at];
        core.register([a, a, b, c][at], registration(level, Accumulation::Count), name).unwrap()
    });
    let _ = core.activate(urgent, 1, || 0).unwrap();
    assert_eq!(run_next(&mut core), "urgent");
    for event in [cleaned, parked, other] {
        assert_eq!(core.activate(event, 1, || 0), Ok(Outcome::Continue));
    }
    assert_eq!(core.clean(cleaned), Ok(1));
    assert_eq!(core.finish(), Finished::Next(Next::Start(a.place())), "not `other`");
    assert_eq!(core.begin(|| 0).0, "parked");
}

/// Or they are shed, and counted.
#[test]
fn what_is_shed_is_counted() {
    let (mut core, a) =
        sole(Limits { activations: 1, overload: OverflowPolicy::Shed, ..Limits::NONE });
    core.suspend(a).unwrap();
    let kept = core.register(a, registration(1, Accumulation::Count), "kept").unwrap();
    let shed = core.register(a, registration(9, Accumulation::Count), "shed").unwrap();
    let _ = core.activate(kept, 1, || 0).unwrap();
    let _ = core.activate(shed, 3, || 0).unwrap();
    let _ = core.activate(kept, 1, || 0).unwrap();
    assert_eq!(core.shed(a), Ok(3));
    assert_eq!(core.look_up(kept).unwrap().pending, 2, "it has its room already");
    let _ = core.resume(a).unwrap();
    assert_eq!(run_all(&mut core), ["kept"]);
}

/// A context is told of trouble past its own limit.
#[test]
fn a_notice_gets_past_a_full_limit() {
    let (mut core, a) = sole(Limits { activations: 1, ..Limits::NONE });
    core.suspend(a).unwrap();
    let full = core.register(a, registration(1, Accumulation::Count), "full").unwrap();
    let more = core.register(a, registration(1, Accumulation::Count), "more").unwrap();
    let notice = core.register(a, registration(9, Accumulation::Count), "notice").unwrap();
    core.set_notice(a, Some(notice)).unwrap();
    for event in [full, more] {
        let _ = core.activate(event, 1, || 0).unwrap();
    }
    let _ = core.report(a, Trouble::PoolLow, 0).unwrap();
    assert_eq!(core.look_up(notice).unwrap().pending, 2);
    assert_eq!(core.set_notice(a, Some(more)), Err(Error::Busy), "that one waits for room");
    let _ = core.resume(a).unwrap();
    assert_eq!(run_all(&mut core), ["notice", "full", "more"]);
    let troubles = core.take_troubles(a).unwrap();
    let told: Vec<_> = troubles.iter().collect();
    assert_eq!(told, [(Trouble::PoolLow, 1), (Trouble::LimitReached, 1)]);
    assert_eq!(core.take_troubles(a).unwrap().iter().count(), 0);
}

/// Limits are handed down, never up.
#[test]
fn limits_are_the_lower_of_both() {
    let parent = Limits { registrations: 5, activations: 2, overload: OverflowPolicy::Shed };
    let child =
        Limits { registrations: 3, activations: 9, overload: OverflowPolicy::Wait }.within(parent);
    assert_eq!(child, Limits { registrations: 3, activations: 2, overload: OverflowPolicy::Wait });
    let (mut core, a) = sole(child);
    let plain = Registration::default();
    let events = [(); 3].map(|()| core.register(a, plain, "").unwrap());
    assert_eq!(core.register(a, plain, ""), Err(Error::LimitReached));
    let _ = core.unregister(events[1]).unwrap();
    assert_eq!(core.next_of(events[2]), Ok(Some(events[0])));
    assert!(core.register(a, plain, "").is_ok());
}
