//! Connections that exchange requests and answers, over a wire that loses frames: none of them stands still.

use crate::common::{SimConnection, World, at, pattern};
use reflex_net::{ConnectionError, TcpService};
use reflex_testkit::{Faults, SimKernel};
use std::time::Duration;

const CONNECTIONS: usize = 16;
const REQUEST: usize = 120;

/// One end of each connection: it has a message of this many bytes for each of so many that have come.
struct Turns {
    /// It begins.
    asks: bool,
    says: Vec<u8>,
    hears: usize,
    /// Bytes of the message that is coming, and messages that have come, by slot.
    heard: Vec<usize>,
    turns: Vec<u64>,
    failed: Vec<ConnectionError>,
}

impl Turns {
    fn new(asks: bool, says: usize, hears: usize) -> Self {
        let (heard, turns) = (vec![0; CONNECTIONS], vec![0; CONNECTIONS]);
        Self { asks, says: pattern(says, 1), hears, heard, turns, failed: Vec::new() }
    }
}

impl TcpService<SimKernel> for Turns {
    fn connected(&mut self, connection: &SimConnection) {
        if self.asks {
            connection.write(&self.says);
        }
    }

    fn received(&mut self, connection: &SimConnection) {
        let slot = connection.slot();
        let mut taken = 0;
        while let Ok(count @ 1..) = connection.receive(|bytes| bytes.len()) {
            taken += count;
        }
        self.heard[slot] += taken;
        while self.heard[slot] >= self.hears {
            self.heard[slot] -= self.hears;
            self.turns[slot] += 1;
            connection.write(&self.says);
        }
    }

    fn failed(&mut self, _: &SimConnection, error: ConnectionError) {
        self.failed.push(error);
    }
}

/// The longest time that one of the connections has made no turn.
fn longest_standstill(seed: u64, answer: usize, faults: Faults) -> Duration {
    let world = World::new(seed);
    let [server, client] = &world.hosts;
    let serving = server.kernel.context(Turns::new(false, answer, REQUEST), 4 << 20);
    server.net.listen(7).connections(CONNECTIONS as u32).serve(serving).unwrap();
    let asking = client.kernel.context(Turns::new(true, REQUEST, answer), 4 << 20);
    let connector = client.net.connector().connections(CONNECTIONS as u32).serve(asking).unwrap();
    for _ in 0..CONNECTIONS {
        connector.connect(at(server, 7)).unwrap();
    }
    world.run_for(Duration::from_millis(100));
    world.set_faults(faults);
    let turns = || client.kernel.state(asking, |it| it.turns.clone());
    let (mut before, mut since) = (turns(), [Duration::ZERO; CONNECTIONS]);
    let mut longest = Duration::ZERO;
    let step = Duration::from_millis(100);
    for number in 0..150 {
        world.run_for(step);
        let now = turns();
        for slot in 0..CONNECTIONS {
            if now[slot] != before[slot] {
                since[slot] = step * number;
            }
            longest = longest.max(step * number - since[slot]);
        }
        before = now;
    }
    for (host, context) in [(server, serving), (client, asking)] {
        host.kernel.state(context, |it| assert_eq!(it.failed, [], "seed {seed}"));
    }
    longest
}

#[test]
fn no_connection_stands_still_over_a_wire_that_loses_frames() {
    for seed in 0..4 {
        let latency = Duration::from_millis(1 + seed % 4);
        let faults = Faults { lost: 1 + seed % 5, delayed: 5, latency, ..Faults::default() };
        for answer in [1, 200, 1460, 5000] {
            let longest = longest_standstill(seed, answer, faults);
            // Four time-outs of a second and more in a row, without a round trip measured.
            assert!(longest < Duration::from_secs(16), "seed {seed}, {answer} bytes: {longest:?}");
        }
    }
}
