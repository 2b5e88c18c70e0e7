//! Waiting synchronously, in `main` and in handlers.

use crate::trace::Trace;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Error, EventError, EventId, Priority, SignalMode, System, Waited};

fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// `main` waits for an event of its own while handlers run; what occurred before is not lost.
#[reflex::test]
fn main_waits_for_what_a_handler_activates(system: System) -> Result<(), Error> {
    let waiter = system.waiter()?;
    let event = waiter.event();
    system.activate(event, 2)?;
    assert_eq!(waiter.wait()?, Waited::Occurred(2), "it had occurred");
    let context = system.context("activator", 0u32).build()?;
    let timer =
        system.every(Duration::from_millis(1)).on(context, move |ticks: &mut u32, tick| {
            let before = *ticks;
            *ticks += tick.count;
            // Once: another tick may come before the timer is stopped.
            if before < 5 && *ticks >= 5 {
                system.activate(event, 1).expect("registered");
                tick.timer.stop().expect("not removed");
            }
        })?;
    assert_eq!(waiter.wait()?, Waited::Occurred(1));
    timer.remove()?;
    Ok(())
}

/// Waiting with nothing to come ends when its time is over, and not before.
#[reflex::test]
fn a_wait_ends_when_its_time_is_over(system: System) -> Result<(), Error> {
    let waiter = system.waiter()?;
    let began = system.now();
    assert_eq!(waiter.wait_within(Duration::from_millis(3))?, Waited::TimedOut);
    assert!(system.now().since(began) >= Duration::from_millis(3));
    // The time-out is over with the wait.
    system.sleep(Duration::from_millis(4))?;
    system.activate(waiter.event(), 1)?;
    assert_eq!(waiter.wait_within(Duration::from_secs(60))?, Waited::Occurred(1));
    Ok(())
}

/// A handler that waits keeps its context to itself: the context's other handlers wait with it,
/// and run when it has ended. Other contexts run all the while.
#[reflex::test]
fn a_handler_waits_and_its_context_with_it(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    static EVENT: AtomicU64 = AtomicU64::new(0);
    let waiting = system.context("waiting", 0u32).build()?;
    let other = system.context("other", ()).build()?;
    let waits = system.signal(SignalMode::Semaphore).priority(level(30)).on(
        waiting,
        move |inside, _| {
            *inside += 1;
            let waiter = system.waiter().expect("room");
            EVENT.store(waiter.event().into_word(), Relaxed);
            TRACE.note('w');
            assert_eq!(waiter.wait(), Ok(Waited::Occurred(1)));
            TRACE.note('W');
            *inside -= 1;
        },
    )?;
    let second =
        system.signal(SignalMode::Semaphore).priority(level(40)).on(waiting, |inside, _| {
            assert_eq!(*inside, 0, "two handlers in one context");
            TRACE.note('s');
        })?;
    let elsewhere =
        system.signal(SignalMode::Semaphore).priority(level(10)).on(other, |(), _| {
            TRACE.note('o');
        })?;
    waits.fire()?;
    second.fire()?;
    elsewhere.fire()?;
    TRACE.expect("wo");
    system.activate(EventId::from_word(EVENT.load(Relaxed)), 1)?;
    TRACE.expect("woWs");
    Ok(())
}

/// Several contexts wait at once, each for its own event; they go on by their priorities.
#[reflex::test]
fn several_contexts_wait_at_once(system: System) -> Result<(), Error> {
    static TRACE: Trace = Trace::new();
    static EVENTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    for (place, name) in ["first", "second", "third"].into_iter().enumerate() {
        let context = system.context(name, ()).build()?;
        let mark = name.as_bytes()[0] as char;
        let priority = level(20 + place as u8);
        let signal =
            system.signal(SignalMode::Semaphore).priority(priority).on(context, move |(), _| {
                let waiter = system.waiter().expect("room");
                EVENTS[place].store(waiter.event().into_word(), Relaxed);
                assert_eq!(waiter.wait(), Ok(Waited::Occurred(1)));
                TRACE.note(mark);
            })?;
        signal.fire()?;
    }
    TRACE.expect("");
    system.section(|| {
        for event in &EVENTS {
            system.activate(EventId::from_word(event.load(Relaxed)), 1).expect("registered");
        }
    });
    TRACE.expect("tsf");
    Ok(())
}

/// Nobody can wait where nobody else could run, nor for what is another context's.
#[reflex::test]
fn a_wait_that_could_not_end_is_refused(system: System) -> Result<(), Error> {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let waiter = system.waiter()?;
    assert_eq!(system.section(|| waiter.wait()), Err(EventError::Busy));
    let context = system.context("stranger", ()).build()?;
    let signal = system.signal(SignalMode::Semaphore).on(context, move |(), _| {
        REFUSED.store(waiter.wait() == Err(EventError::NotAllowed), Relaxed);
    })?;
    signal.fire()?;
    assert!(REFUSED.load(Relaxed));
    Ok(())
}

/// Twenty thousand occurrences, waited for, each ended by a timer's handler: no wake-up is lost.
#[reflex::test(group = "icount")]
fn no_wake_up_is_lost(system: System) -> Result<(), Error> {
    static TICKS: AtomicU32 = AtomicU32::new(0);
    const WAITS: u32 = 20_000;
    let kernel = raw::kernel(system);
    let waiter = system.waiter()?;
    let event = waiter.event();
    let context = system.context("ticker", ()).build()?;
    let timer = system.every(Duration::from_micros(20)).on(context, move |(), tick| {
        TICKS.fetch_add(tick.count, Relaxed);
        kernel.activate(event, tick.count).expect("registered");
    })?;
    let mut told = 0;
    while told < WAITS {
        match waiter.wait()? {
            Waited::Occurred(count) => told += count,
            Waited::TimedOut => panic!("nobody asked for that"),
        }
    }
    timer.remove()?;
    let left = kernel.clean(event)?;
    assert_eq!(told + left, TICKS.load(Relaxed));
    Ok(())
}
