//! User signals (N-2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::bench::raise;
use reflex::{Acknowledge, Error, Fired, Job, Priority, Signal, SignalMode, System, Vector};

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

/// Signals that come and go, any number of them, take no more memory than those that are there at
/// a time.
#[reflex::test]
fn signals_that_have_ended_leave_nothing_behind(system: System) -> Result<(), Error> {
    let context = system.context("passing", ()).build()?;
    let mut heap = None;
    for round in 0..2_000 {
        let signals: Result<Vec<_>, _> =
            (0..3).map(|_| system.signal(SignalMode::Counter).on(context, |(), _| {})).collect();
        for signal in signals? {
            signal.fire()?;
            signal.registration().unregister()?;
            assert!(signal.fire().is_err(), "it has ended");
        }
        if round >= 1_000 {
            let used = system.heap().used;
            assert_eq!(*heap.get_or_insert(used), used, "after {round} rounds");
        }
    }
    Ok(())
}

/// A signal that has ended, fired in interrupt context, is nobody's, even when what was kept for it
/// is another's; and that one's firings are not lost.
#[reflex::test]
fn an_ended_signal_fires_nobody_elses(system: System) -> Result<(), Error> {
    struct Firing(Vec<Signal>);
    impl Acknowledge for Firing {
        fn acknowledge(&mut self) -> bool {
            for signal in &self.0 {
                let _ = signal.fire();
            }
            true
        }
    }
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static JOBS: AtomicU32 = AtomicU32::new(0);
    const SIGNALS: u32 = 100;
    let context = system.context("fired", ()).memory(32 << 10).build()?;
    let make = || {
        system.signal(SignalMode::Semaphore).on(context, |(), _| {
            RUNS.fetch_add(1, Relaxed);
        })
    };
    let ended: Vec<Signal> = (0..SIGNALS).map(|_| make()).collect::<Result<_, _>>()?;
    ended.iter().try_for_each(|signal| signal.registration().unregister())?;
    let live: Vec<Signal> = (0..SIGNALS).map(|_| make()).collect::<Result<_, _>>()?;
    let vector = Vector::reserve()?;
    let job = Job::new(|| {
        JOBS.fetch_add(1, Relaxed);
    })?;
    let all = ended.into_iter().chain(live).collect();
    vector.post(job, Some(Box::leak(Box::new(Firing(all)))));
    for round in 1..=10 {
        raise(vector);
        while JOBS.load(Relaxed) < round || RUNS.load(Relaxed) < round * SIGNALS {
            core::hint::spin_loop();
        }
        system.sleep(core::time::Duration::from_millis(1))?;
        assert_eq!(RUNS.load(Relaxed), round * SIGNALS);
    }
    Ok(())
}
