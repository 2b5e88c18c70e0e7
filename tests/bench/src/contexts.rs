//! What it costs to go from one context to another: preempted, resumed, lent a priority, woken.

use crate::figure::Report;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use reflex::bench::timestamp;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Error, EventId, Priority, Registration, System};

/// The counter at the last point of interest.
static AT: AtomicU64 = AtomicU64::new(0);

fn note() {
    AT.store(timestamp(), Relaxed);
}

fn registration(level: u8) -> Registration {
    let priority = Priority::new(level).expect("below 64");
    Registration { priority, ..Registration::default() }
}

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    preempt_and_resume(system, report, events)?;
    inherit(system, report, events)?;
    wake(system, report, events)
}

/// One handler preempts another, ends, and that one goes on.
fn preempt_and_resume(system: System, report: &Report, events: usize) -> Result<(), Error> {
    static BEFORE: AtomicU64 = AtomicU64::new(0);
    static AFTER: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let low = system.context("low", ()).build()?.handle();
    let high = system.context("high", ()).build()?.handle();
    let preempting = kernel.register(high, registration(50), |(), _| note())?;
    let preempted = kernel.register(low, registration(40), move |(), _| {
        BEFORE.store(timestamp(), Relaxed);
        let _ = kernel.activate(preempting, 1);
        AFTER.store(timestamp(), Relaxed);
    })?;
    let run = || {
        kernel.activate(preempted, 1).expect("registered");
        (BEFORE.load(Relaxed), AT.load(Relaxed), AFTER.load(Relaxed))
    };
    report.measure("preempt", events, || {
        let (before, at, _) = run();
        (before, at)
    });
    // From the end of the one to the next instruction of the other.
    report.measure("resume", events, || {
        let (_, at, after) = run();
        (at, after)
    });
    kernel.unregister(preempted)?;
    Ok(kernel.unregister(preempting)?)
}

/// A preempted context gets an event of a higher priority than the one that preempted it has, and
/// goes on before that.
fn inherit(system: System, report: &Report, events: usize) -> Result<(), Error> {
    static LENT: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let owner = system.context("owner", ()).build()?.handle();
    let middle = system.context("middle", ()).build()?.handle();
    let high = kernel.register(owner, registration(50), |(), _| {})?;
    let between = kernel.register(middle, registration(45), move |(), _| {
        LENT.store(timestamp(), Relaxed);
        let _ = kernel.activate(high, 1);
    })?;
    let low = kernel.register(owner, registration(40), move |(), _| {
        let _ = kernel.activate(between, 1);
        note();
    })?;
    report.measure("inheritance", events, || {
        kernel.activate(low, 1).expect("registered");
        (LENT.load(Relaxed), AT.load(Relaxed))
    });
    for event in [low, between, high] {
        kernel.unregister(event)?;
    }
    Ok(())
}

/// A handler that waits is woken by an activation.
fn wake(system: System, report: &Report, events: usize) -> Result<(), Error> {
    static WAITS: AtomicU64 = AtomicU64::new(0);
    let kernel = raw::kernel(system);
    let context = system.context("waiting", ()).build()?.handle();
    let start = kernel.register(context, registration(40), move |(), _| {
        let waiter = system.waiter().expect("room");
        WAITS.store(waiter.event().into_word(), Relaxed);
        while WAITS.load(Relaxed) != 0 {
            let _ = waiter.wait();
            note();
        }
    })?;
    kernel.activate(start, 1)?;
    let event = EventId::from_word(WAITS.load(Relaxed));
    report.measure("wait-to-wake", events, || {
        let from = timestamp();
        kernel.activate(event, 1).expect("registered");
        (from, AT.load(Relaxed))
    });
    WAITS.store(0, Relaxed);
    kernel.activate(event, 1)?;
    Ok(kernel.unregister(start)?)
}
