//! Connections and datagrams, over good wires and bad ones.

use crate::{Echo, echo};
use reflex::net::ConnectionError;
use reflex::prelude::*;
use reflex::testing::{Faults, Simulation};
use std::net::{Ipv4Addr, SocketAddrV4};

#[test]
fn bytes_come_back_and_ends_are_told() {
    let mut sim = Simulation::new(echo).unwrap();
    let client = sim.connect(7);
    client.send(b"hello ");
    client.send("world");
    sim.run();
    assert!(client.is_open());
    assert_eq!(client.take(), b"hello world");
    client.half_close();
    sim.run();
    assert!(client.is_finished() && client.is_over() && !client.is_reset());
    assert_eq!(
        sim.state("echo", |echo: &mut Echo| echo.told.clone()),
        ["accepted", "closed", "ended"]
    );
}

#[test]
fn a_client_that_closes_in_the_middle_is_told_of() {
    let mut sim = Simulation::new(echo).unwrap();
    let client = sim.connect(7);
    client.send(b"half a line");
    sim.run();
    client.abort();
    sim.run();
    assert!(client.is_reset());
    let failed = sim.state("echo", |echo: &mut Echo| echo.failed.clone());
    assert_eq!(failed, [ConnectionError::Reset]);
}

#[test]
fn more_than_the_limit_are_refused_and_the_next_is_not() {
    let mut sim = Simulation::new(echo).unwrap();
    let clients = [sim.connect(7), sim.connect(7)];
    sim.run();
    assert!(clients.iter().all(|client| client.is_open()));
    let late = sim.connect(7);
    sim.run();
    assert!(!late.is_open());
    clients[0].abort();
    assert!(sim.run_until(secs(60), |_| late.is_open()), "it tries again");
    let nowhere = sim.connect(8);
    sim.run();
    assert!(nowhere.is_refused() && !nowhere.is_reset());
}

#[test]
fn a_client_that_does_not_read_is_waited_for_and_gets_everything() {
    let mut sim = Simulation::new(echo).unwrap();
    let client = sim.connect(7);
    client.stop_reading();
    let sent: Vec<u8> = (0..500_000_u32).map(|n| (n / 7) as u8).collect();
    client.send(&sent);
    sim.advance(secs(5));
    assert_eq!(client.received(), b"");
    // The other one is served meanwhile.
    let other = sim.connect(7);
    other.send(b"quick");
    sim.run();
    assert_eq!(other.received(), b"quick");
    client.read_on();
    assert!(sim.run_until(secs(120), |_| client.received().len() == sent.len()));
    assert_eq!(client.received(), sent);
}

fn bad() -> Faults {
    Faults { lost: 5, repeated: 5, delayed: 10, damaged: 2, ..Faults::default() }
}

#[test]
fn over_a_bad_wire_all_arrives_and_the_same_seed_is_the_same_run() {
    let sent: Vec<u8> = (0..100_000_u32).map(|n| (n / 3) as u8).collect();
    let run = |seed| {
        let mut sim = Simulation::builder().seed(seed).faults(bad()).start(echo).unwrap();
        let client = sim.connect(7);
        client.send(&sent);
        let all = sim.run_until(secs(600), |_| client.received().len() >= sent.len());
        assert!(all && client.received() == sent, "seed {seed}");
        sim.now()
    };
    let first = run(1);
    assert_eq!(run(1), first);
    assert_ne!(run(2), first);
}

#[test]
fn a_wire_that_loses_everything_is_noticed() {
    let mut sim = Simulation::new(echo).unwrap();
    let client = sim.connect(7);
    sim.run();
    sim.set_faults(Faults { lost: 100, ..Faults::default() });
    client.send(b"lost");
    sim.advance(secs(1));
    assert_eq!(client.received(), b"");
    sim.set_faults(Faults::default());
    assert!(sim.run_until(secs(60), |_| client.received() == b"lost"));
}

struct Doubler;

impl UdpService for Doubler {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        let doubled = [datagram.payload, datagram.payload].concat();
        let _ = socket.send_to(&doubled, datagram.from);
    }
}

#[test]
fn datagrams_are_answered_each() {
    let mut sim = Simulation::new(|system: System| {
        let doubler = system.context("doubler", Doubler).build()?;
        system.udp(9).serve(doubler)?;
        Ok::<_, Error>(())
    })
    .unwrap();
    let socket = sim.datagrams(0);
    socket.send(9, b"ab");
    socket.send(9, b"c");
    socket.send(10, b"nobody there");
    sim.run();
    assert_eq!(socket.take(), [(9, b"abab".to_vec()), (9, b"cc".to_vec())]);
    assert_eq!(socket.take(), []);
}

#[derive(Default)]
struct Dialer {
    heard: Vec<u8>,
    failed: Vec<ConnectionError>,
}

impl TcpService for Dialer {
    fn connected(&mut self, connection: &Connection) {
        connection.write(b"anybody there?");
    }

    fn received(&mut self, connection: &Connection) {
        let mut block = [0; 64];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            self.heard.extend(&block[..length]);
        }
    }

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        self.failed.push(error);
    }
}

#[test]
fn connections_that_the_machine_opens_meet_a_host_that_listens() {
    let mut sim = Simulation::new(|system: System| {
        let dialer = system.context("dialer", Dialer::default()).memory(1 << 20).build()?;
        let connector = system.connector().serve(dialer)?;
        system.after(secs(1)).on(dialer, move |_, _| {
            for port in [80, 81] {
                let peer = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 1), port);
                connector.connect(peer).unwrap();
            }
        })?;
        Ok::<_, Error>(())
    })
    .unwrap();
    let server = sim.listen(80);
    sim.advance(secs(3));
    assert_eq!(server.received(), b"anybody there?");
    server.send(b"a host");
    sim.run();
    let (heard, failed) =
        sim.state("dialer", |it: &mut Dialer| (it.heard.clone(), it.failed.clone()));
    assert_eq!(heard, b"a host");
    assert_eq!(failed, [ConnectionError::Refused]);
}

#[test]
fn a_machine_without_an_interface_says_so() {
    let started = Simulation::builder().without_network().start(echo);
    assert_eq!(
        started.err().map(|error| error.to_string()).as_deref(),
        Some("the image ended at its start, with status 104")
    );
}
