//! What it costs to hand an occurrence to a context made for it, and to many handlers.

use crate::figure::{Report, once};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use reflex::bench::timestamp;
use reflex::kind::Source;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Error, Priority, System};

/// The counter at the last handler's first instruction.
static AT: AtomicU64 = AtomicU64::new(0);

/// Takes every figure with `events` others registered.
pub(crate) fn all(system: System, report: &Report, events: usize) -> Result<(), Error> {
    clone(system, report, events)?;
    [1, 10, 100].into_iter().try_for_each(|handlers| fan_out(system, report, events, handlers))
}

/// A child is made, run and ended.
fn clone(system: System, report: &Report, events: usize) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let cloner = system.cloner("cloner", 0u32).children(2);
    let cloner = cloner.on(|_: &mut u32, _| AT.store(timestamp(), Relaxed))?;
    report.measure("cloner-to-handler", events, || {
        let start = timestamp();
        kernel.activate(cloner.event(), 1).expect("registered");
        (start, AT.load(Relaxed))
    });
    report.measure("cloner-whole", events, || once(|| kernel.activate(cloner.event(), 1)));
    Ok(())
}

/// One occurrence is told to so many handlers of one context, until the last has ended.
fn fan_out(system: System, report: &Report, events: usize, handlers: usize) -> Result<(), Error> {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let source: Source<u32> = system.plain_source()?;
    let context = system.context("told", ()).priority(Priority::HIGH).memory(128 << 10).build()?;
    let all: Result<Vec<_>, _> = (0..handlers)
        .map(|_| {
            system.subscribe(source.clone()).on(context, |(), _| {
                TOLD.fetch_add(1, Relaxed);
            })
        })
        .collect();
    let case = ["fanout-1", "fanout-10", "fanout-100"][handlers.ilog10() as usize];
    report.measure(case, events, || {
        TOLD.store(0, Relaxed);
        let times = once(|| source.deliver(1));
        assert_eq!(TOLD.load(Relaxed), handlers, "told before it returns");
        times
    });
    all?.iter().try_for_each(|one| one.unregister())
}
