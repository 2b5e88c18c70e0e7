//! Nothing of an application's runs while the kernel's state is borrowed, and no failure leaves
//! anybody in a phase that is forgotten: a cloner's children are given up in each of theirs.

use crate::faults::Fault;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Cloner, ContextId, ContextState, Error, EventError, EventId, OnFailure, Priority,
    Registration, SignalMode, System, Waiter,
};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };

/// The only child of the cloner of this name.
fn child(system: System, name: &str) -> ContextId {
    let mut all = system.contexts().filter(|seen| seen.name == name);
    all.find(|seen| seen.state != ContextState::Taken).expect("a child").id
}

/// Runs `work` above everybody: whatever becomes due meanwhile waits.
fn above_all(system: System, work: impl Fn() + Send + 'static) -> Result<(), Error> {
    let above = system.context("above all", ()).priority(Priority::HIGHEST).build()?;
    system.signal(SignalMode::Semaphore).on(above, move |(), _| work())?.fire()?;
    Ok(())
}

/// What is told of an idle child may be the cloner's own event, so that the telling takes the child.
#[reflex::test(group = "failures")]
fn a_cloners_own_event_may_be_told_of_its_idle_children(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static WAITS: AtomicU64 = AtomicU64::new(0);
    let cloner = system.cloner("own event", ()).on(move |(), _| {
        if RUNS.fetch_add(1, Relaxed) == 0 {
            let waiter: Waiter = system.waiter().expect("room for one");
            WAITS.store(waiter.event().into_word(), Relaxed);
            waiter.wait().expect("nothing else happens");
        }
    })?;
    cloner.on_idle(Some(cloner.event()));
    system.activate(cloner.event(), 1)?;
    assert_eq!(RUNS.load(Relaxed), 1);
    let refused = cloner.start_with(|_| unreachable!("none is idle"));
    assert_eq!(refused, Err(EventError::Busy));
    system.activate(EventId::from_word(WAITS.load(Relaxed)), 1)?;
    // It has become idle, and so has begun again.
    assert_eq!(RUNS.load(Relaxed), 2);
    assert_eq!(child(system, "own event").index, child(system, "own event").index);
    system.activate(cloner.event(), 1)?;
    assert_eq!(RUNS.load(Relaxed), 3);
    Ok(())
}

/// A filter that is asked whether somebody is to be told of an idle child may use the cloner: here it
/// takes the child, each time.
#[reflex::test(group = "failures")]
fn a_filter_may_use_the_cloner_of_the_children_it_is_told_of(system: System) -> Result<(), Error> {
    static SUM: AtomicU32 = AtomicU32::new(0);
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static WAITS: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let cloner: Cloner<u32> = system.cloner("asked", ()).with(move |(), data: u32| {
        SUM.fetch_add(data, Relaxed);
        if data == 1 {
            let waiter: Waiter = system.waiter().expect("room for one");
            WAITS.store(waiter.event().into_word(), Relaxed);
            waiter.wait().expect("nothing else happens");
        }
    })?;
    let source = system.context("source", ()).build()?;
    let told = kernel.register(source.handle(), EACH, |(), _| {})?;
    kernel.filter(told, move |_| {
        ASKED.fetch_add(1, Relaxed);
        assert_eq!(cloner.start(20).map(|_| ()), Ok(()), "it is idle");
        assert_eq!(cloner.start(400).map(|_| ()), Err(400), "there is one");
        cloner.on_idle(None);
        false
    })?;
    cloner.on_idle(Some(told));
    assert!(cloner.start(1).is_ok());
    assert_eq!(cloner.start(8_000), Err(8_000));
    kernel.activate(EventId::from_word(WAITS.load(Relaxed)), 1)?;
    assert_eq!((ASKED.load(Relaxed), SUM.load(Relaxed)), (1, 21));
    assert!(cloner.start(2).is_ok());
    assert_eq!(SUM.load(Relaxed), 23);
    Ok(())
}

/// A child that is given up while a source builds its data is that source's no more: the next one has
/// it, and the first is told.
#[reflex::test(group = "failures")]
fn a_claimed_child_that_is_given_up_is_claimed_once(system: System) -> Result<(), Error> {
    static SUM: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let cloner: Cloner<u32> = system.cloner("claimed", ()).contained().with(|(), data: u32| {
        SUM.fetch_add(data, Relaxed);
    })?;
    let source = system.context("source", ()).build()?;
    let free = system.signal(SignalMode::Semaphore).on(source, |(), _| {
        TOLD.fetch_add(1, Relaxed);
    })?;
    cloner.on_idle(Some(free.event()));
    for round in 1..=3 {
        let first = cloner.start_with(|_| {
            let _ = system.give_up(child(system, "claimed"));
            // Another has it as soon as it has been made anew.
            while cloner.start(20).is_err() {}
            Ok(1)
        });
        assert_eq!(first, Err(EventError::Busy));
        assert_eq!(SUM.load(Relaxed), 21 * round - 1);
        // The one that was refused is told, as there is one.
        assert!(TOLD.load(Relaxed) >= round);
        assert!(cloner.start(1).is_ok());
        assert_eq!(SUM.load(Relaxed), 21 * round);
        // What was given up is given back to no effect.
        let given_back = cloner.start_with(|_| {
            let _ = system.give_up(child(system, "claimed"));
            Err(EventError::OutOfMemory)
        });
        assert_eq!(given_back, Err(EventError::OutOfMemory));
        while cloner.start(0).is_err() {}
    }
    Ok(())
}

/// What a child was to begin with is not lost with it: it begins with that in its next life.
#[reflex::test(group = "failures")]
fn what_a_child_has_not_begun_with_is_not_lost(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static SUM: AtomicU32 = AtomicU32::new(0);
    let cloner = system.cloner("due", ()).contained().on(|(), _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    let fed: Cloner<u32> =
        system.cloner("due with data", ()).contained().with(|(), data: u32| {
            SUM.fetch_add(data, Relaxed);
        })?;
    above_all(system, move || {
        system.activate(cloner.event(), 1).expect("registered");
        fed.start(7).expect("idle");
        for name in ["due", "due with data"] {
            system.give_up(child(system, name)).expect("it is contained");
        }
        assert_eq!((RUNS.load(Relaxed), SUM.load(Relaxed)), (0, 0));
    })?;
    while (RUNS.load(Relaxed), SUM.load(Relaxed)) != (1, 7) {}
    // And no more than that.
    system.activate(cloner.event(), 1)?;
    assert!(fed.start(10).is_ok());
    assert_eq!((RUNS.load(Relaxed), SUM.load(Relaxed)), (2, 17));
    Ok(())
}

/// An idle child that is given up is nobody's until it has been made anew: what occurs meanwhile
/// waits.
#[reflex::test(group = "failures")]
fn an_idle_child_that_is_given_up_is_not_idle(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let cloner = system.cloner("idle", ()).children(2).contained().on(|(), _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    let given_up = system.cloner("alone", ()).contained().on(|(), _| {
        RUNS.fetch_add(10, Relaxed);
    })?;
    above_all(system, move || {
        system.give_up(child(system, "idle")).expect("it is contained");
        system.give_up(child(system, "alone")).expect("it is contained");
        for event in [cloner.event(), given_up.event()] {
            system.activate(event, 3).expect("registered");
        }
        let refused = given_up.start_with(|_| unreachable!("it is down"));
        assert_eq!(refused, Err(EventError::Busy));
    })?;
    // There is another child, which has all.
    assert_eq!(RUNS.load(Relaxed) % 10, 3);
    while RUNS.load(Relaxed) != 33 {}
    Ok(())
}

/// A child that lives on with registrations of its own, and one in the middle of its handler.
#[reflex::test(group = "failures")]
fn a_child_that_is_alive_is_given_up(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let cloner = system.cloner("alive", 1_u32).contained().on(move |state, _| {
        assert_eq!(*state, 1, "as the template is");
        *state = 2;
        let this = system.this::<u32>().expect("its state");
        kernel.register(this.handle(), EACH, |_: &mut u32, _| {}).expect("room");
        if RUNS.fetch_add(1, Relaxed) % 3 == 1 {
            let waiter: Waiter = system.waiter().expect("room for one");
            let _ = waiter.wait();
        }
    })?;
    for run in 0..30 {
        kernel.activate(cloner.event(), 1)?;
        while RUNS.load(Relaxed) <= run {}
        let before = child(system, "alive");
        system.give_up(before)?;
        while child(system, "alive") == before {}
        assert_eq!(kernel.failures(before), Err(EventError::NoContext));
    }
    assert_eq!(kernel.look_up(cloner.event())?.pending, 0);
    Ok(())
}

/// A child that was stopped is idle when it has been started again; while it is stopped it is not.
#[reflex::test(group = "failures")]
fn a_child_that_was_stopped_becomes_idle(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let cloner = system.cloner("stopped", ()).on(move |(), _| {
        if RUNS.fetch_add(1, Relaxed) == 0 {
            let this = system.running().expect("a child");
            assert_eq!(kernel.stop(this), Ok(false));
        }
    })?;
    kernel.activate(cloner.event(), 3)?;
    assert_eq!(RUNS.load(Relaxed), 1);
    kernel.start(child(system, "stopped"))?;
    assert_eq!(RUNS.load(Relaxed), 3);
    assert_eq!(kernel.look_up(cloner.event())?.pending, 0);
    Ok(())
}

/// What has been given up is held until it has been cleaned up, and nobody can start it.
#[reflex::test(group = "failures")]
fn a_dead_context_cannot_be_started(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let dead = system.context("dead", ()).on_failure(OnFailure::Ignore).build()?;
    let behind = Registration { priority: Priority::HIGH, ..EACH };
    let behind = kernel.register(dead.handle(), behind, |(), _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    let wrong = kernel.register(dead.handle(), EACH, move |(), _| {
        Fault::Panic.commit(system);
    })?;
    kernel.activate(wrong, 1)?;
    assert_eq!(system.stopped(dead.id())?.failures, 1);
    assert_eq!(kernel.start(dead.id()), Err(EventError::Busy));
    assert_eq!(kernel.activate(behind, 1), Err(EventError::Stale));
    let dead = system.context("dying", ()).on_failure(OnFailure::Ignore).build()?;
    let behind = Registration { priority: Priority::HIGH, ..EACH };
    let behind = kernel.register(dead.handle(), behind, |(), _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    above_all(system, move || {
        kernel.activate(behind, 1).expect("registered");
        system.give_up(dead.id()).expect("it can be");
        assert_eq!(kernel.start(dead.id()), Err(EventError::Busy));
        assert_eq!(kernel.stop(dead.id()), Err(EventError::Busy));
    })?;
    system.sleep(Duration::from_millis(1))?;
    assert_eq!(RUNS.load(Relaxed), 0);
    Ok(())
}
