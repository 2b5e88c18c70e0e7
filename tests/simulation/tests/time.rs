//! Virtual time.

use reflex::prelude::*;
use reflex::testing::Simulation;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Clock {
    ticks: u32,
    at: Vec<u64>,
}

fn ticking(system: System) -> Result {
    let clock = system.context("clock", Clock::default()).build()?;
    system.every(secs(1)).on(clock, move |clock: &mut Clock, tick| {
        clock.ticks += tick.count;
        clock.at.push(system.now().as_nanos());
    })?;
    Ok(())
}

#[test]
fn a_day_takes_no_time_and_every_tick_is_on_the_second() {
    let begun = Instant::now();
    let mut sim = Simulation::new(ticking).unwrap();
    sim.advance(Duration::from_millis(999));
    assert_eq!(sim.state("clock", |clock: &mut Clock| clock.ticks), 0);
    sim.advance(Duration::from_millis(2));
    assert_eq!(sim.state("clock", |clock: &mut Clock| clock.ticks), 1);
    sim.advance(secs(24 * 3600));
    let (ticks, at) = sim.state("clock", |clock: &mut Clock| (clock.ticks, clock.at.clone()));
    assert_eq!((ticks, at.len()), (24 * 3600 + 1, 24 * 3600 + 1));
    for (at, second) in at.iter().zip(1..) {
        assert!(at.abs_diff(second * 1_000_000_000) < 50_000, "tick {second} at {at} ns");
    }
    // Else it waits for the host's clock somewhere.
    assert!(begun.elapsed() < secs(3600));
}

#[test]
fn code_that_waits_for_a_time_gets_there() {
    let mut sim = Simulation::new(|system: System| {
        let start = system.now();
        while system.now().since(start) < Duration::from_micros(100) {}
        reflex::println!("waited");
    })
    .unwrap();
    assert_eq!(sim.take_lines(), ["waited"]);
    assert!(sim.take_lines().is_empty());
    assert!(sim.now().as_nanos() >= 100_000);
}

#[test]
fn what_is_waited_for_in_vain_takes_its_time_and_no_more() {
    let mut sim = Simulation::new(ticking).unwrap();
    let start = sim.now();
    assert!(!sim.run_until(secs(5), |_| false));
    let waited = sim.now().since(start);
    assert!(waited >= secs(5) && waited < Duration::from_micros(5_000_010), "{waited:?}");
    assert!(sim.run_until(secs(5), |sim| sim.now().as_nanos() > 7_500_000_000));
    assert!(sim.now().as_nanos() < 9_000_000_000);
}

#[test]
fn the_date_is_what_the_test_says() {
    let sim = Simulation::builder().unix_time(86_400).start(ticking).unwrap();
    assert_eq!(sim.system().unix_time(), 86_400);
}
