//! Timers with real interrupts (A-3.6.3, N-3).

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::{Error, System, Tick};

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
    while system.now().since(start) < Duration::from_millis(20) {
        spin_loop();
    }
    assert_eq!(FIRED.load(Relaxed), 1);
    assert!(AT.load(Relaxed) >= start.as_nanos() + 3_000_000);
    Ok(())
}

/// A periodic timer counts what its handler missed: no period is lost.
#[reflex::test]
fn a_periodic_timer_loses_no_period(system: System) -> Result<(), Error> {
    static COUNTED: AtomicU32 = AtomicU32::new(0);
    let context = system.context("periodic", ()).build()?;
    let start = system.now();
    let timer = system.every(Duration::from_micros(100)).on(context, |(), tick: Tick| {
        COUNTED.fetch_add(tick.count, Relaxed);
    })?;
    while system.now().since(start) < Duration::from_millis(50) {
        spin_loop();
    }
    timer.stop()?;
    let elapsed = system.now().since(start).as_micros() as u32;
    let counted = COUNTED.load(Relaxed);
    assert!(counted >= 499 && counted <= elapsed / 100, "{counted} in {elapsed} us");
    Ok(())
}

/// A timer stopped in its own handler stays stopped, and can be started again.
#[reflex::test]
fn a_timer_can_be_stopped_in_its_handler_and_restarted(system: System) -> Result<(), Error> {
    static FIRED: AtomicU32 = AtomicU32::new(0);
    let context = system.context("stopper", ()).build()?;
    let timer = system.every(Duration::from_micros(200)).on(context, |(), tick: Tick| {
        FIRED.fetch_add(1, Relaxed);
        tick.timer.stop().expect("registered");
    })?;
    for round in 1..=3 {
        let start = system.now();
        while system.now().since(start) < Duration::from_millis(5) {
            spin_loop();
        }
        assert_eq!(FIRED.load(Relaxed), round);
        timer.every(Duration::from_micros(200))?;
    }
    timer.remove()?;
    assert!(timer.stop().is_err(), "a removed timer is refused");
    Ok(())
}
