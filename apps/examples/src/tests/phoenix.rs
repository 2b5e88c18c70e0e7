//! The phoenix on the host: its panics stay its own.

use super::main;
use reflex::prelude::*;
use reflex::testing::Simulation;

#[test]
fn it_rises_until_its_supervisor_has_had_enough() {
    let mut sim = Simulation::new(main).unwrap();
    sim.advance(secs(10));
    assert_eq!(sim.exit_status(), Some(0));
    let lines = sim.take_lines();
    let told = lines.iter().filter(|it| it.starts_with("job") || it.starts_with("worker"));
    let told: Vec<_> = told.collect();
    let life = |number| ["job 1", "job 2", number];
    let lives = ["worker has failed: 1", "worker has failed: 2", "worker has failed: 3"].map(life);
    assert_eq!(told, lives.concat());
}
