//! The countdown on the host, which has nobody wait.

use super::{FROM, main};
use reflex::prelude::*;
use reflex::testing::{Simulation, StartError};

#[test]
fn it_counts_from_where_it_is_told_and_ends() {
    let told = Simulation::builder().arguments(&[FROM]).command_line("from=2");
    let mut sim = told.start(main).unwrap();
    sim.advance(secs(1));
    assert_eq!(sim.take_lines(), ["From 2:", "2", "1", "Lift-off!"]);
    assert_eq!(sim.exit_status(), Some(0));
}

#[test]
fn a_number_out_of_its_bounds_is_refused() {
    let told = Simulation::builder().arguments(&[FROM]).command_line("from=61");
    assert_eq!(told.start(main).err(), Some(StartError::Ended(103)));
}
