//! User signals (N-2).

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::{Error, Fired, Priority, Signal, SignalMode, System};

/// Fires `mode` five times while its handler cannot run; returns (runs, firings told).
fn five(system: System, mode: SignalMode) -> Result<(u32, u32), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    RUNS.store(0, Relaxed);
    TOLD.store(0, Relaxed);
    let context = system.context("five", ()).build()?;
    let signal = system.signal(mode).on(context, |(), fired: Fired| {
        RUNS.fetch_add(1, Relaxed);
        TOLD.fetch_add(fired.count, Relaxed);
    })?;
    // From a handler of higher priority, so that all five are pending at once.
    let above = system.context("above", signal).priority(Priority::HIGHEST).build()?;
    let burst = system.signal(SignalMode::Counter).on(above, |signal: &mut Signal, _| {
        for _ in 0..5 {
            signal.fire().expect("registered");
        }
    })?;
    burst.fire()?;
    Ok((RUNS.load(Relaxed), TOLD.load(Relaxed)))
}

/// In semaphore mode the handler runs once a firing.
#[reflex::test]
fn a_semaphore_runs_once_a_firing(system: System) -> Result<(), Error> {
    assert_eq!(five(system, SignalMode::Semaphore)?, (5, 5));
    Ok(())
}

/// In counter mode it runs once and is told how many.
#[reflex::test]
fn a_counter_runs_once_for_all(system: System) -> Result<(), Error> {
    assert_eq!(five(system, SignalMode::Counter)?, (1, 5));
    Ok(())
}

/// A signal fired in its own handler runs it again, and others of its priority get their turn.
#[reflex::test]
fn firing_in_ones_own_handler_starves_nobody(system: System) -> Result<(), Error> {
    use crate::trace::Trace;
    static TRACE: Trace = Trace::new();
    struct Own {
        again: Option<Signal>,
        left: u32,
    }
    let own = system.context("own", Own { again: None, left: 3 }).build()?;
    let other = system.context("other", ()).build()?;
    let neighbour = system.signal(SignalMode::Counter).on(other, |(), _| TRACE.note('n'))?;
    let again = system.signal(SignalMode::Semaphore).on(own, move |state: &mut Own, _| {
        TRACE.note('o');
        state.left -= 1;
        if state.left > 0 {
            state.again.expect("set first").fire().expect("registered");
            neighbour.fire().expect("registered");
        }
    })?;
    let start = system.signal(SignalMode::Counter).on(own, move |state: &mut Own, _| {
        state.again = Some(again);
        again.fire().expect("registered");
    })?;
    start.fire()?;
    TRACE.expect("onono");
    Ok(())
}
