//! Requests and answers that smoltcp does not hear of, with everything in between that it has to.
//!
//! What single segments do to a connection that is ahead of its socket is in `scripts/rfc9293/predicted_*`.

use crate::common;
use common::raw::{ACK, Segment};
use common::server::{PORT, Server};
use common::{Noting, World, at, pattern};
use reflex_testkit::{Faults, Random, Trace};
use std::time::Duration;

const ROUNDS: u64 = 80;
const LIMIT: Duration = Duration::from_secs(3600);

/// A client sends requests of all lengths, mostly short ones, and waits for the echo of each, with pauses of all
/// lengths. The bytes are right, and both sides end. How many segments were predicted.
fn rounds(seed: u64, faults: Faults) -> u64 {
    let world = World::new(seed);
    world.set_faults(faults);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let echo = server.kernel.context(Noting::echo("server", &trace), 1 << 20);
    server.net.listen(7).buffers(4096, 4096).serve(echo).unwrap();
    let asking = client.kernel.context(Noting::new("client", &trace), 1 << 20);
    let connector = client.net.connector().buffers(4096, 8192).serve(asking).unwrap();
    let connection = connector.connect(at(server, 7)).unwrap();
    let connected =
        |world: &World| world.hosts[1].kernel.state(asking, |state| state.connected == 1);
    assert!(world.run_until(LIMIT, connected), "seed {seed}: no connection");

    let mut random = Random::new(seed);
    let mut draw = |limit: u64| random.below(limit);
    let mut asked = Vec::new();
    for round in 0..ROUNDS {
        let length = match draw(20) {
            0 => draw(20_000),
            1..4 => draw(4000),
            _ => draw(600),
        };
        asked.extend(pattern(1 + length as usize, seed << 8 | round));
        client.kernel.state(asking, |state| {
            state.greeting.clone_from(&asked);
            state.push(&connection);
        });
        let answered = world.run_until(LIMIT, |world| {
            world.hosts[1].kernel.state(asking, |state| state.received[0].len() >= asked.len())
        });
        assert!(answered, "seed {seed}, round {round}: {:?}", server.net.counters());
        client.kernel.state(asking, |state| {
            assert!(state.received[0] == asked, "seed {seed}, round {round}: other bytes");
        });
        let pause = [0, 0, 0, draw(5), draw(50), draw(200), draw(10_000)][draw(7) as usize];
        world.run_for(Duration::from_millis(pause));
    }
    connection.finish();
    let over = world.run_until(LIMIT, |world| {
        let [server, client] = &world.hosts;
        client.kernel.state(asking, |state| state.ended) == 1
            && server.kernel.state(echo, |state| state.ended) == 1
    });
    assert!(over, "seed {seed}: the connection does not end");
    let counters = world.hosts.each_ref().map(|host| host.net.counters());
    assert_eq!(counters.map(|counters| counters.failed), [0, 0], "seed {seed}");
    counters.iter().map(|counters| counters.predicted).sum()
}

fn all(faults: impl Fn() -> Faults) {
    let predicted: Vec<u64> = (0..48).map(|seed| rounds(seed, faults())).collect();
    println!("segments predicted, by seed: {predicted:?}");
    assert!(predicted.iter().all(|predicted| *predicted > 10), "{predicted:?}");
}

#[test]
fn requests_of_all_lengths_are_answered_over_a_good_wire() {
    all(Faults::default);
}

#[test]
fn requests_of_all_lengths_are_answered_with_frames_lost_and_repeated() {
    all(|| Faults { lost: 3, repeated: 5, damaged: 1, ..Faults::default() });
}

#[test]
fn requests_of_all_lengths_are_answered_with_frames_overtaking_each_other() {
    all(|| Faults { delayed: 20, lost: 1, ..Faults::default() });
}

/// Text that nobody reads stays in its frame only while few do so, so that there are buffers left to receive with;
/// the rest is for sockets, and so is all of it when the timer comes.
#[test]
fn few_frames_are_held_by_applications_that_do_not_read() {
    const CONNECTIONS: u16 = 160;
    /// A quarter of those that may wait in queues.
    const MOST: u64 = 512 / 4;
    let server = Server::with(
        |service| service.echo = true,
        |listening| listening.connections(CONNECTIONS.into()).buffers(512, 512),
    );
    let ports = 4000..4000 + CONNECTIONS;
    let acks: Vec<u32> = ports.clone().map(|port| server.open(port)).collect();
    let feed =
        |port, sequence, ack| server.feed(&Segment::new(port, PORT, ACK, sequence, ack).with(b"x"));
    for (port, ack) in ports.clone().zip(&acks) {
        assert_eq!(feed(port, 1001, *ack).len(), 1, "answered");
    }
    server.state(|service| service.deaf = true);
    let free = server.host.wire.outstanding();
    for (port, ack) in ports.clone().zip(&acks) {
        assert_eq!(feed(port, 1002, ack.wrapping_add(1)), []);
    }
    assert_eq!(server.host.net.counters().predicted, MOST);
    assert_eq!(server.host.wire.outstanding() as u64 - free as u64, MOST);
    let late = server.pass(Duration::from_millis(100));
    assert_eq!(late.len(), CONNECTIONS.into(), "each is acknowledged");
    assert!(late.iter().all(|segment| segment.acknowledgement == 1003));
    assert_eq!(server.host.wire.outstanding(), free);
}
