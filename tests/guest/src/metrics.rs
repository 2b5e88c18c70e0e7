//! Metrics, counted in handlers that preempt one another, and read with the system's own (PE-8).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::time::Duration;
use reflex::metrics::{Counter, Gauge, Histogram, Value};
use reflex::{Error, Priority, SignalMode, System};

#[reflex::metric]
static PREEMPTED: Counter = Counter::new("guest_counted_total", "by handlers").label("by", "low");
#[reflex::metric]
static PREEMPTING: Counter = Counter::new("guest_counted_total", "by handlers").label("by", "high");
#[reflex::metric]
static DEPTH: Gauge = Gauge::new("guest_depth", "handlers that are under way");
#[reflex::metric]
static TURNS: Histogram = Histogram::new("guest_turns", "turns until the handler was preempted");

/// A timer's handler comes into the middle of a low one's counting, again and again; both count all they did.
#[reflex::test]
fn nothing_is_lost_between_a_handler_and_the_one_that_preempts_it(
    system: System,
) -> Result<(), Error> {
    const PREEMPTIONS: u64 = 20;
    let high = system.context("high", ()).priority(Priority::HIGH).build()?;
    let low = system.context("low", ()).priority(Priority::LOW).build()?;
    let before = (PREEMPTED.get(), PREEMPTING.get(), TURNS.count(), TURNS.sum());
    system.every(Duration::from_micros(200)).on(high, |(), _| {
        DEPTH.inc();
        PREEMPTING.inc();
        TURNS.observe(1);
        DEPTH.dec();
    })?;
    let work = system.signal(SignalMode::Counter).on(low, move |(), _| {
        DEPTH.inc();
        let mut turns = 0;
        while PREEMPTING.get() < before.1 + PREEMPTIONS {
            PREEMPTED.inc();
            TURNS.observe(1);
            turns += 1;
        }
        DEPTH.dec();
        assert_eq!(PREEMPTED.get() - before.0, turns);
    })?;
    work.fire()?;
    let (preempted, preempting) = (PREEMPTED.get() - before.0, PREEMPTING.get() - before.1);
    assert!(preempting >= PREEMPTIONS);
    // The timer goes on: what is read later may be more.
    assert!(TURNS.count() - before.2 >= preempted + preempting);
    assert!(TURNS.sum() - before.3 >= preempted + preempting);
    assert_eq!((DEPTH.get(), TURNS.max(), TURNS.p99()), (0, 1, 1));
    Ok(())
}

/// Each series with its kind, in order.
fn series(system: System) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    system.metrics().each(|sample| {
        all.push((reflex::metrics::Name(sample.name, sample.label).to_string(), sample.value));
    });
    all
}

#[reflex::test]
fn what_was_declared_and_what_the_system_counts_are_read_alike(
    system: System,
) -> Result<(), Error> {
    system.net()?;
    system.rdma()?;
    while system.net()?.address().is_none() {
        spin_loop();
    }
    PREEMPTED.add(3);
    let all = series(system);
    let own: Vec<&str> =
        all.iter().map(|(name, _)| &**name).filter(|name| name.starts_with("guest_")).collect();
    let expected = [
        "guest_counted_total{by=\"high\"}",
        "guest_counted_total{by=\"low\"}",
        "guest_depth",
        "guest_turns",
    ];
    assert_eq!(own, expected);
    let number = |name: &str| match all.iter().find(|(it, _)| it == name) {
        Some((_, Value::Counter(count))) => *count,
        Some((_, Value::Gauge(level))) => *level as u64,
        other => panic!("{name}: {other:?}"),
    };
    assert!(number(expected[1]) >= 3);
    assert!(number("reflex_kernel_busy_nanoseconds_total") > 0);
    assert_eq!(number("reflex_kernel_contexts"), system.contexts().count() as u64);
    assert_eq!(number("reflex_kernel_processors"), 1);
    assert!(number("reflex_kernel_available_memory_bytes") > 0);
    assert!(number("reflex_dhcp_accepted_total") >= 2);
    assert!(number("reflex_net_frames_total") >= 2);
    assert_eq!(number("reflex_rdma_malformed_total"), 0);
    let mut names: Vec<&String> = all.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two series have one name");
    Ok(())
}
