//! The end of an image: by itself, and by the power button.

use crate::echo;
use reflex::prelude::*;
use reflex::testing::Simulation;
use std::time::Duration;

#[test]
fn a_status_is_told_and_nothing_runs_after_it() {
    let mut sim = Simulation::new(|system: System| {
        let last = system.context("last", 0_u32).build()?;
        system.every(secs(1)).on(last, move |count: &mut u32, _| {
            *count += 1;
            if *count == 3 {
                system.exit(42);
            }
        })?;
        Ok::<_, Error>(())
    })
    .unwrap();
    sim.advance(Duration::from_millis(2_500));
    assert_eq!(sim.exit_status(), None);
    sim.advance(secs(10));
    assert_eq!(sim.exit_status(), Some(42));
}

#[test]
fn the_power_button_waits_for_what_is_in_hand() {
    let mut sim = Simulation::new(echo).unwrap();
    let client = sim.connect(7);
    client.send(b"one");
    sim.run();
    sim.press_power_button();
    sim.advance(secs(5));
    assert_eq!(sim.exit_status(), None);
    client.half_close();
    sim.advance(secs(1));
    assert_eq!(sim.exit_status(), Some(0));
    assert_eq!(client.received(), b"one");
}
