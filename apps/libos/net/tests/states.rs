//! The states that a connection's application may watch (RFC 9293, 3.3.2).

use crate::common;
use common::raw::{ACK, FIN, RST, SYN, Segment, introduce, segments};
use common::{Host, SimConnection};
use reflex_event::{Context, Instant};
use reflex_net::{ConnectionError, TcpService, TcpState};
use reflex_testkit::{Clock, SimKernel, Trace};

const PORT: u16 = 80;
const PEER: u16 = 4000;

/// Watches each connection, and notes what it is told.
#[derive(Default)]
struct Watching {
    trace: Trace,
    last: Option<SimConnection>,
}

impl TcpService<SimKernel> for Watching {
    fn accepted(&mut self, connection: &SimConnection) {
        connection.watch_states().expect("it is open");
        self.last = Some(connection.clone());
    }

    fn state(&mut self, _: &SimConnection, state: TcpState) {
        self.trace.note(state.to_string());
    }

    fn received(&mut self, _: &SimConnection) {}

    /// The connection stays half open.
    fn closed(&mut self, _: &SimConnection) {
        self.trace.note("closed");
    }

    fn failed(&mut self, _: &SimConnection, error: ConnectionError) {
        self.trace.note(error.to_string());
    }

    fn ended(&mut self, _: &SimConnection) {
        self.trace.note("ended");
    }
}

struct Server {
    clock: Clock,
    host: Host,
    trace: Trace,
    service: Context<Watching>,
}

impl Server {
    /// A server with a connection: what its peer has to acknowledge.
    fn open() -> (Self, u32) {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::new(&clock, 1, 7);
        let trace = Trace::default();
        let service = Watching { trace: trace.clone(), last: None };
        let service = host.kernel.context(service, 1 << 20);
        host.net.listen(PORT).connections(1).serve(service).unwrap();
        host.exchange(&clock, &introduce(host.address));
        let server = Self { clock, host, trace, service };
        let answer = server.feed(SYN, 1000, 0);
        let ack = answer[0].sequence.wrapping_add(1);
        server.feed(ACK, 1001, ack);
        assert_eq!(server.trace.take(), ["ESTABLISHED"]);
        (server, ack)
    }

    fn feed(&self, flags: u8, sequence: u32, ack: u32) -> Vec<Segment> {
        let segment = Segment::new(PEER, PORT, flags, sequence, ack);
        let frame = segment.frame(self.host.mac, self.host.address);
        segments(&self.host.exchange(&self.clock, &frame))
    }

    fn close(&self) {
        self.host.kernel.state(self.service, |state| state.last.as_ref().unwrap().finish());
        self.host.kernel.run_until_idle();
        self.host.sent(&self.clock);
    }
}

#[test]
fn a_connection_that_the_peer_closes_first() {
    let (server, ack) = Server::open();
    server.feed(ACK | FIN, 1001, ack);
    assert_eq!(server.trace.take(), ["CLOSE-WAIT", "closed"]);
    server.close();
    assert_eq!(server.trace.take(), ["LAST-ACK"]);
    server.feed(ACK, 1002, ack + 1);
    assert_eq!(server.trace.take(), ["CLOSED", "ended"]);
}

#[test]
fn a_connection_that_we_close_first() {
    let (server, ack) = Server::open();
    server.close();
    assert_eq!(server.trace.take(), ["FIN-WAIT-1"]);
    server.feed(ACK, 1001, ack + 1);
    assert_eq!(server.trace.take(), ["FIN-WAIT-2"]);
    server.feed(ACK | FIN, 1001, ack + 1);
    assert_eq!(server.trace.take(), ["TIME-WAIT", "closed", "ended"]);
}

#[test]
fn a_connection_that_both_close_at_once() {
    let (server, ack) = Server::open();
    server.close();
    server.feed(ACK | FIN, 1001, ack);
    assert_eq!(server.trace.take(), ["FIN-WAIT-1", "CLOSING", "closed"]);
    server.feed(ACK, 1002, ack + 1);
    assert_eq!(server.trace.take(), ["TIME-WAIT", "ended"]);
}

/// Several segments fed in one turn, and a handler that only runs afterwards: no state is left out.
#[test]
fn states_that_are_passed_in_one_turn_are_all_told() {
    let (server, ack) = Server::open();
    server.close();
    assert_eq!(server.trace.take(), ["FIN-WAIT-1"]);
    for (flags, ack) in [(ACK, ack + 1), (ACK | FIN, ack + 1)] {
        let segment = Segment::new(PEER, PORT, flags, 1001, ack);
        server.host.inject(&segment.frame(server.host.mac, server.host.address));
    }
    server.host.kernel.run_until_idle();
    assert_eq!(server.trace.take(), ["FIN-WAIT-2", "TIME-WAIT", "closed", "ended"]);
}

/// The next connection of the place is not told what the last one's was.
#[test]
fn a_reset_ends_the_watch() {
    let (server, _) = Server::open();
    server.feed(RST, 1001, 0);
    assert_eq!(server.trace.take(), ["CLOSED", "the peer reset the connection"]);
    let last = server.host.kernel.state(server.service, |state| state.last.take().unwrap());
    assert!(last.watch_states().is_err());
    let answer = server.feed(SYN, 9000, 0);
    server.feed(ACK, 9001, answer[0].sequence.wrapping_add(1));
    assert_eq!(server.trace.take(), ["ESTABLISHED"]);
}
