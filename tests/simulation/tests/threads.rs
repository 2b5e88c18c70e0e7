//! Several machines, and several threads: one at a time, and none reaches another's.

use crate::{Echo, echo};
use reflex::prelude::*;
use reflex::testing::Simulation;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

fn talk(word: &str) {
    let mut sim = Simulation::new(echo).unwrap();
    let client = sim.connect(7);
    client.send(word);
    sim.run();
    assert_eq!(client.received(), word.as_bytes());
    assert_eq!(sim.state("echo", |echo: &mut Echo| echo.told.len()), 1);
}

#[test]
fn machines_follow_each_other_and_begin_anew() {
    (0..20).for_each(|_| talk("again"));
}

#[test]
fn threads_take_turns() {
    let threads: Vec<_> =
        (0..4).map(|_| thread::spawn(|| (0..5).for_each(|_| talk("turn")))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_thread_has_one_machine_at_a_time() {
    let _sim = Simulation::new(echo).unwrap();
    assert!(catch_unwind(|| Simulation::new(echo).map(drop)).is_err());
}

#[test]
fn no_other_thread_reaches_the_machine() {
    let sim = Simulation::new(echo).unwrap();
    let system = sim.system();
    let elsewhere = thread::spawn(move || system.registered()).join();
    assert!(elsewhere.is_err());
    assert!(system.registered() > 0);
}

#[test]
fn a_machine_that_is_gone_is_not_reached() {
    let sim = Simulation::new(echo).unwrap();
    let system: System = sim.system();
    drop(sim);
    assert!(catch_unwind(AssertUnwindSafe(|| system.registered())).is_err());
}

#[test]
fn a_test_that_panics_leaves_the_next_one_a_machine() {
    let failed = catch_unwind(|| {
        let mut sim = Simulation::new(echo).unwrap();
        sim.run();
        panic!("the test's own");
    });
    assert!(failed.is_err());
    talk("next");
}
