//! A mutex: one holder at a time, at its ceiling; poisoned by a holder that fails (PE-9, PE-25).

use crate::containment::{SOON, until};
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::supervise::{OnFailure, Setup};
use reflex::{Error, EventError, LockError, Priority, SignalMode, System, Tick, Trouble};

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// Adds to both halves, which are equal whenever nobody holds them, and takes its time.
fn add(halves: &mut (u32, u32)) {
    assert_eq!(halves.0, halves.1, "another was in here");
    halves.0 += 1;
    for turn in 0..200 {
        black_box(turn);
    }
    halves.1 += 1;
}

/// Timers of four priorities, at intervals that drift through each other, add to what they share; so does one that
/// excludes others meanwhile, and one that holds another mutex. One above the ceiling comes in between.
#[reflex::test(group = "mutex")]
fn one_at_a_time_whatever_preempts(system: System) -> Result<(), Error> {
    static ADDED: AtomicU32 = AtomicU32::new(0);
    static ABOVE: AtomicU32 = AtomicU32::new(0);
    let home = system.context("home", ()).build()?;
    let mutex = system.mutex(home, level(30), (0_u32, 0_u32))?;
    let outer = system.mutex(home, level(20), 0_u32)?;
    let (mut contexts, mut timers) = (Vec::new(), Vec::new());
    for (number, micros) in [53, 59, 61, 67].into_iter().enumerate() {
        let priority = level(10 + 5 * number as u8);
        let context = system.context("adder", ()).priority(priority).build()?;
        let (mutex, outer, lower) = (mutex.clone(), outer.clone(), contexts.clone());
        let add = move |(): &mut (), _: Tick| {
            let locked = match number {
                1 => outer.lock(|_| mutex.lock(add)).flatten(),
                2 => system.exclude(&lower, || mutex.lock(add)).unwrap_or(Err(LockError::Busy)),
                _ => mutex.lock(add),
            };
            locked.expect("it is free");
            ADDED.fetch_add(1, Relaxed);
        };
        timers.push(system.every(Duration::from_micros(micros)).on(context, add)?);
        contexts.push(context.id());
    }
    let above = system.context("above", ()).priority(level(40)).build()?;
    let refused = mutex.clone();
    let add = move |(): &mut (), _: Tick| {
        assert_eq!(refused.lock(add), Err(LockError::AboveCeiling));
        ABOVE.fetch_add(1, Relaxed);
    };
    timers.push(system.every(Duration::from_micros(71)).on(above, add)?);
    until(|| ADDED.load(Relaxed) >= 4_000 && ABOVE.load(Relaxed) >= 500);
    timers.into_iter().try_for_each(|timer| timer.stop())?;
    let added = ADDED.load(Relaxed);
    assert_eq!(mutex.lock(|halves| *halves), Ok((added, added)));
    Ok(())
}

/// A handler that inherits a priority above the ceiling comes to a mutex that is held: it waits for the holder, which
/// inherits in turn, so that none in between delays either.
#[reflex::test(group = "mutex")]
fn a_holder_inherits_from_what_waits_for_it(system: System) -> Result<(), Error> {
    static ORDER: AtomicU32 = AtomicU32::new(0);
    let note = |expected| assert_eq!(ORDER.fetch_add(1, Relaxed), expected);
    let home = system.context("home", ()).build()?;
    let mutex = system.mutex(home, level(20), 0)?;
    let [low, holder, between] = [("low", 10), ("holder", 20), ("between", 25)]
        .map(|(name, priority)| system.context(name, ()).priority(level(priority)));
    let (low, holder, between) = (low.build()?, holder.build()?, between.build()?);
    let urgent = system.signal(SignalMode::Counter).priority(level(30)).on(low, move |(), _| {
        note(4);
    })?;
    let busy = system.signal(SignalMode::Counter).on(between, move |(), _| note(5))?;
    let held = mutex.clone();
    let hold = system.signal(SignalMode::Counter).on(holder, move |(), _| {
        let locked = held.lock(|value| {
            note(1);
            // The low context goes on before this one, and `between` waits behind both.
            system.section(|| urgent.fire().and(busy.fire())).expect("registered");
            note(2);
            *value = 7;
        });
        locked.expect("it is free");
        note(6);
    })?;
    let work = system.signal(SignalMode::Counter).on(low, move |(), _| {
        note(0);
        hold.fire().expect("registered");
        assert_eq!(mutex.lock(|value| *value), Ok(7));
        note(3);
    })?;
    work.fire()?;
    assert_eq!(ORDER.load(Relaxed), 7);
    Ok(())
}

/// A holder that fails poisons the mutex, which says so until it has another value; those that share it go on, and
/// what is lost is told and counted.
#[reflex::test(group = "mutex")]
fn a_holder_that_fails_poisons_it(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let home = system.context("home", ()).build()?;
    system
        .on_trouble(home, |(), trouble, count| {
            assert_eq!(trouble, Trouble::MemoryQuarantined);
            TOLD.fetch_add(count, Relaxed);
        })?
        .set_priority(Priority::HIGH)?;
    let mutex = system.mutex(home, Priority::DEFAULT, [1_u64; 8])?;
    assert_eq!(mutex.renew([0; 8]).map_err(|(error, _)| error), Err(LockError::NotPoisoned));
    let culprit = system
        .context_with("culprit", |_: Setup<'_, ()>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(())
        })
        .on_failure(OnFailure::Restart)
        .backoff(SOON, SOON)
        .build()?;
    for life in 1..=10_u32 {
        until(|| LIVES.load(Relaxed) == life);
        let (locked, bytes) = (mutex.clone(), system.quarantine().bytes);
        let fail = system.signal(SignalMode::Counter).on(culprit, move |(), _| {
            let _ = locked.lock(|value| {
                value[0] = 9;
                panic!("with a mutex in hand");
            });
        })?;
        fail.fire()?;
        assert_eq!(system.stopped(culprit.id())?.failures, life);
        assert!(mutex.is_poisoned());
        assert_eq!(mutex.lock(|value| *value), Err(LockError::Poisoned));
        assert!(system.quarantine().bytes >= bytes + 64);
        assert_eq!(TOLD.load(Relaxed), life);
        mutex.renew([u64::from(life); 8]).map_err(|_| "it is poisoned, and there is room")?;
        assert_eq!(mutex.lock(|value| value[0]), Ok(u64::from(life)));
    }
    Ok(())
}

/// What makes no sense is refused precisely, and changes nothing.
#[reflex::test(group = "mutex")]
fn what_cannot_lock_is_told_why(system: System) -> Result<(), Error> {
    let home = system.context("home", ()).memory(4 << 10).build()?;
    let mutex = system.mutex(home, Priority::DEFAULT, 1)?;
    let again = mutex.clone();
    assert_eq!(mutex.lock(|_| again.lock(|value| *value)), Ok(Err(LockError::Deadlock)));
    assert_eq!(system.section(|| mutex.lock(|value| *value)), Err(LockError::Busy));
    // A holder may not wait: others would wait for it.
    let slept = mutex.lock(|_| system.sleep(Duration::from_secs(3_600)));
    assert_eq!(slept, Ok(Err(Error::Event(EventError::Busy))));
    system.sleep(SOON)?;
    let refused = system.mutex(home, Priority::DEFAULT, [0_u8; 8_192]);
    assert_eq!(refused.err(), Some(Error::Event(EventError::OutOfMemory)));
    assert_eq!(mutex.lock(|value| *value), Ok(1));
    Ok(())
}
