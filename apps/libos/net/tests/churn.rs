//! Connections that come and go by the thousand, in all the ways in which they end: nothing of them
//! stays. `REFLEX_CONNECTIONS=10000000` has as many of them as a busy server has in days.

use crate::common;
use common::raw::{ACK, FIN, RST, SYN, Segment, introduce, segments};
use common::{Host, Noting};
use reflex_event::{Context, EventSystem, Instant};
use reflex_testkit::{Clock, Random, Trace};
use std::time::Duration;

const PORT: u16 = 80;
/// In the ordinary run, a second or two of it.
const USUALLY: u64 = 20_000;
/// Connections at a time.
const PLACES: u32 = 16;

struct Server {
    clock: Clock,
    host: Host,
    service: Context<Noting>,
    trace: Trace,
    random: Random,
    /// The number of the next connection.
    number: u32,
}

impl Server {
    fn new(seed: u64) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::new(&clock, 1, seed);
        let trace = Trace::default();
        let service = Noting { greeting: b"Good day.\n".to_vec(), ..Noting::new("s", &trace) };
        let service = host.kernel.context(service, 1 << 20);
        host.net.listen(PORT).connections(PLACES).buffers(1024, 1024).serve(service).unwrap();
        host.exchange(&clock, &introduce(host.address));
        Self { clock, host, service, trace, random: Random::new(seed), number: 0 }
    }

    fn feed(&self, segment: &Segment) -> Vec<Segment> {
        let frame = segment.frame(self.host.mac, self.host.address);
        segments(&self.host.exchange(&self.clock, &frame))
    }

    /// One connection, from its opening to one of its ends.
    fn connection(&mut self) {
        self.number = self.number.wrapping_add(1);
        if self.number.is_multiple_of(1000) {
            // Minutes have passed: the peer is still there, and asks for our address.
            self.host.exchange(&self.clock, &introduce(self.host.address));
        }
        let (port, begin) =
            ((self.number % 50_000) as u16 + 1024, self.number.wrapping_mul(70_000));
        let segment = |flags, sequence: u32, ack| {
            Segment::new(port, PORT, flags, begin.wrapping_add(sequence), ack)
        };
        let answer = self.feed(&segment(SYN, 0, 0));
        // A place is free, if only one in TIME-WAIT.
        let ours = answer[0].sequence.wrapping_add(1);
        assert_eq!(answer[0].flags, SYN | ACK, "connection {}", self.number);
        match self.random.below(6) {
            // It is never completed.
            0 => drop(self.feed(&segment(RST, 1, 0))),
            // The peer closes first; then our side does, too.
            1 | 2 => {
                self.feed(&segment(ACK, 1, ours));
                let answer = self.feed(&segment(ACK | FIN, 1, ours + 10));
                assert!(answer.iter().any(|answer| answer.flags & FIN != 0), "{answer:?}");
                self.feed(&segment(ACK, 2, ours + 11));
            }
            // We close first, and wait.
            3 => {
                self.feed(&segment(ACK, 1, ours));
                self.call(|connection| connection.finish());
                self.feed(&segment(ACK | FIN, 1, ours + 11));
            }
            // It is reset, with bytes on both sides.
            4 => {
                self.feed(&segment(ACK, 1, ours).with(b"lost"));
                self.feed(&segment(RST, 5, 0));
            }
            // The application has enough of it.
            _ => {
                self.feed(&segment(ACK, 1, ours));
                self.call(|connection| connection.abort());
            }
        }
        self.trace.take();
    }

    fn call(&self, call: impl FnOnce(&common::SimConnection)) {
        self.host.kernel.state(self.service, |state| call(state.last.as_ref().unwrap()));
        self.host.kernel.run_until_idle();
        self.host.sent(&self.clock);
    }

    /// What is in use: blocks of the service's memory and of the interface's.
    fn in_use(&self) -> (usize, usize) {
        let pool = self.host.kernel.pool(self.service).unwrap();
        (pool.stats().blocks, self.host.wire.outstanding())
    }
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    let given = |name: &str| std::env::var(name).ok().and_then(|given| given.parse::<u64>().ok());
    let count = given("REFLEX_CONNECTIONS").unwrap_or(USUALLY);
    let seed = given("REFLEX_SEED").unwrap_or(7);
    println!("{count} connections, seed {seed}");
    let mut server = Server::new(seed);
    // All places have been made once.
    (0..1000).for_each(|_| server.connection());
    let before = server.in_use();
    (0..count).for_each(|_| server.connection());
    assert_eq!(server.in_use(), before);
    let counters = server.host.net.counters();
    assert_eq!(counters.accepted, counters.ended + counters.failed, "{counters:?}");
    assert_eq!(counters.accepted + counters.half_open_failed, count + 1000);
    let refused = [counters.half_open, counters.limit_reached, counters.no_memory];
    assert_eq!(refused, [0; 3], "{counters:?}");
    // What waits, waits a minute; then there is nothing to be done any more.
    server.host.pass(&server.clock, Duration::from_secs(120));
    assert_eq!(server.host.kernel.next_timer(), None, "a timer is left");
}
