//! The greeter on the host.

use super::{Greeter, main};
use reflex::prelude::*;
use reflex::testing::Simulation;

#[test]
fn each_client_is_greeted() {
    let mut sim = Simulation::new(main).unwrap();
    let clients = [sim.connect(2000), sim.connect(2000)];
    sim.run();
    for client in &clients {
        assert_eq!(client.received(), b"Good day.\n");
        client.half_close();
    }
    sim.advance(secs(10));
    assert!(clients.iter().all(|client| client.is_finished()));
    assert_eq!(sim.state("greeter", |greeter: &mut Greeter| greeter.greeted), 2);
}
