//! Preemption by a timer's handler: these tests hang where it is not real.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::{Error, Priority, SignalMode, System, Tick};

/// A low handler spins until a high one, called from the timer's interrupt, ends it.
#[reflex::test]
fn a_spinning_handler_is_ended_by_a_higher_one(system: System) -> Result<(), Error> {
    static DONE: AtomicBool = AtomicBool::new(false);
    let low = system.context("low", ()).priority(Priority::LOW).build()?;
    let high = system.context("high", ()).priority(Priority::HIGH).build()?;
    system.after(Duration::from_millis(2)).on(high, |(), _| DONE.store(true, Relaxed))?;
    let spin = system.signal(SignalMode::Counter).on(low, |(), _| {
        while !DONE.load(Relaxed) {
            spin_loop();
        }
    })?;
    spin.fire()?;
    assert!(DONE.load(Relaxed));
    Ok(())
}

/// `main` goes on where it was interrupted while handlers run over it.
#[reflex::test]
fn main_spins_while_handlers_run(system: System) -> Result<(), Error> {
    static TICKS: AtomicU32 = AtomicU32::new(0);
    let clock = system.context("clock", ()).build()?;
    let timer = system.every(Duration::from_micros(500)).on(clock, |(), tick: Tick| {
        TICKS.fetch_add(tick.count, Relaxed);
    })?;
    while TICKS.load(Relaxed) < 100 {
        spin_loop();
    }
    timer.remove()?;
    Ok(())
}

/// A lower handler waits until the higher one is done, and an equal one does not preempt.
#[reflex::test]
fn lower_and_equal_priorities_wait(system: System) -> Result<(), Error> {
    use crate::trace::Trace;
    static TRACE: Trace = Trace::new();
    let first = system.context("first", ()).build()?;
    let second = system.context("second", ()).build()?;
    let third = system.context("third", ()).priority(Priority::LOW).build()?;
    let lower = system.signal(SignalMode::Counter).on(third, |(), _| TRACE.note('l'))?;
    let equal = system.signal(SignalMode::Counter).on(second, |(), _| TRACE.note('e'))?;
    let start = system.signal(SignalMode::Counter).on(first, move |(), _| {
        TRACE.note('s');
        lower.fire().expect("registered");
        equal.fire().expect("registered");
        TRACE.note('S');
    })?;
    start.fire()?;
    TRACE.expect("sSel");
    Ok(())
}
