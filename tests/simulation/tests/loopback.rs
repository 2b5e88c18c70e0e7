//! An image that connects to itself.

use crate::echo;
use reflex::net::ConnectionError;
use reflex::prelude::*;
use reflex::testing::Simulation;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A client inside of the machine.
#[derive(Default)]
struct Client {
    heard: Vec<u8>,
    failed: Vec<ConnectionError>,
    ended: u32,
}

const LONG: usize = 20_000;

impl TcpService for Client {
    fn connected(&mut self, connection: &Connection) {
        connection.write(&[7; LONG]);
    }

    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 512];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            self.heard.extend(&block[..length]);
        }
        if self.heard.len().is_multiple_of(LONG) {
            connection.finish();
        }
    }

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        self.failed.push(error);
    }

    fn ended(&mut self, _: &Connection) {
        self.ended += 1;
    }
}

/// The echo, and a client of its by each of these addresses, one a second.
fn calls(system: System, ports: &[(Ipv4Addr, u16)]) -> Result {
    echo(system)?;
    let client = system.context("client", Client::default()).memory(1 << 20).build()?;
    let connector = system.connector().serve(client)?;
    for (&(address, port), delay) in ports.iter().zip(1..) {
        let connector = connector.clone();
        system.after(secs(delay)).on(client, move |_, _| {
            connector.connect(SocketAddrV4::new(address, port)).unwrap();
        })?;
    }
    Ok(())
}

const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

fn looked_at(sim: &mut Simulation) -> (usize, Vec<ConnectionError>, u32) {
    sim.state("client", |it: &mut Client| (it.heard.len(), it.failed.clone(), it.ended))
}

#[test]
fn a_service_is_reached_from_inside_by_each_of_its_addresses() {
    let mut sim = Simulation::new(|system: System| {
        system.enable_loopback();
        calls(system, &[(Ipv4Addr::LOCALHOST, 7), (OWN, 7), (Ipv4Addr::new(127, 1, 2, 3), 7)])
    })
    .unwrap();
    sim.advance(secs(30));
    assert_eq!(looked_at(&mut sim), (3 * LONG, vec![], 3));
    // It is a machine like any other to its network.
    let outside = sim.connect(7);
    outside.send(b"from outside");
    sim.run();
    assert_eq!(outside.received(), b"from outside");
}

#[test]
fn a_port_that_is_closed_refuses() {
    let mut sim = Simulation::builder()
        .command_line("loopback")
        .start(|system: System| calls(system, &[(Ipv4Addr::LOCALHOST, 8), (OWN, 8)]))
        .unwrap();
    sim.advance(secs(5));
    let refused = vec![ConnectionError::Refused; 2];
    assert_eq!(looked_at(&mut sim), (0, refused, 0));
}

#[test]
fn it_takes_no_interface() {
    let mut sim = Simulation::builder()
        .without_network()
        .command_line("loopback")
        .start(|system: System| calls(system, &[(Ipv4Addr::LOCALHOST, 7)]))
        .unwrap();
    sim.advance(secs(15));
    assert_eq!(looked_at(&mut sim), (LONG, vec![], 1));
}

#[test]
fn without_it_nothing_goes_round() {
    let mut sim =
        Simulation::new(|system: System| calls(system, &[(Ipv4Addr::LOCALHOST, 7), (OWN, 7)]))
            .unwrap();
    sim.advance(secs(600));
    let (heard, failed, _) = looked_at(&mut sim);
    assert_eq!((heard, failed.len()), (0, 2), "{failed:?}");
}
