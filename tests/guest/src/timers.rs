//! Timers with real interrupts (A-3.6.3, N-3).
//!
//! An interrupt may come as late as a busy host likes; nothing here depends on how late.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::{Error, System, Tick};

/// Spins for so long, while handlers run over it.
fn spin(system: System, time: Duration) {
    let start = system.now();
    while system.now().since(start) < time {
        spin_loop();
    }
}

/// Waits until a handler has counted so far.
fn wait(count: &AtomicU32, expected: u32) {
    while count.load(Relaxed) < expected {
        spin_loop();
    }
}

/// A timer is never early, and a one-shot timer fires once.
#[reflex::test]
fn a_one_shot_timer_fires_once_and_never_early(system: System) -> Result<(), Error> {
    static FIRED: AtomicU32 = AtomicU32::new(0);
    static AT: AtomicU64 = AtomicU64::new(0);
    let context = system.context("once", ()).build()?;
    let start = system.now();
    system.after(Duration::from_millis(3)).on(context, move |(), _| {
        AT.store(system.now().as_nanos(), Relaxed);
        FIRED.fetch_add(1, Relaxed);
    })?;
    wait(&FIRED, 1);
    assert!(AT.load(Relaxed) >= start.as_nanos() + 3_000_000);
    spin(system, Duration::from_millis(10));
    assert_eq!(FIRED.load(Relaxed), 1);
    Ok(())
}

/// A periodic timer counts what its handler missed: no period is lost.
#[reflex::test]
fn a_periodic_timer_loses_no_period(system: System) -> Result<(), Error> {
    const PERIOD: Duration = Duration::from_micros(100);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static LAST: AtomicU32 = AtomicU32::new(0);
    static COUNTED: AtomicU32 = AtomicU32::new(0);
    let context = system.context("periodic", ()).build()?;
    let start = system.now();
    let timer = system.every(PERIOD).on(context, |(), tick: Tick| {
        COUNTED.fetch_add(tick.count, Relaxed);
        LAST.store(tick.count, Relaxed);
        RUNS.fetch_add(1, Relaxed);
    })?;
    for _ in 0..5 {
        wait(&RUNS, RUNS.load(Relaxed) + 1);
        let mut missed = 0;
        let runs = system.section(|| {
            // No handler can run here.
            let begin = system.now();
            spin(system, Duration::from_millis(10));
            missed = (system.now().since(begin).as_nanos() / PERIOD.as_nanos()) as u32;
            RUNS.load(Relaxed)
        });
        wait(&RUNS, runs + 1);
        // The first run after the pause was told of all of it, unless a second one came before
        // it was looked at.
        let last = LAST.load(Relaxed);
        assert!(last + 1 >= missed || RUNS.load(Relaxed) > runs + 1, "{last} of {missed}");
    }
    timer.stop()?;
    let elapsed = (system.now().since(start).as_nanos() / PERIOD.as_nanos()) as u32;
    let counted = COUNTED.load(Relaxed);
    assert!(counted >= 5 * 99, "{counted}");
    assert!(counted <= elapsed, "{counted} in {elapsed} periods");
    Ok(())
}

/// A timer stopped in its own handler stays stopped, and can be started again. With instructions
/// counted, as otherwise a busy host may let it expire again before the handler comes to stop it.
#[reflex::test(group = "icount")]
fn a_timer_can_be_stopped_in_its_handler_and_restarted(system: System) -> Result<(), Error> {
    static FIRED: AtomicU32 = AtomicU32::new(0);
    let context = system.context("stopper", ()).build()?;
    let timer = system.every(Duration::from_micros(200)).on(context, |(), tick: Tick| {
        FIRED.fetch_add(1, Relaxed);
        tick.timer.stop().expect("registered");
    })?;
    for round in 1..=3 {
        wait(&FIRED, round);
        spin(system, Duration::from_millis(5));
        assert_eq!(FIRED.load(Relaxed), round);
        timer.every(Duration::from_micros(200))?;
    }
    timer.remove()?;
    assert!(timer.stop().is_err(), "a removed timer is refused");
    Ok(())
}
