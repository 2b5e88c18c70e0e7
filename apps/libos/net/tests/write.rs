//! Writing more than fits, back-pressure, and the end of a connection.

use crate::common;
use common::raw::{ACK, FIN, RST, SYN, Segment, introduce, segments};
use common::{Host, Noting, SimConnection, World, at, pattern};
use proptest::prelude::*;
use reflex_event::{
    Accumulation, Activation, EventSystem, Instant, Priority, Registration, Trouble,
};
use reflex_net::{ConnectionError, TcpService, Written};
use reflex_testkit::{Clock, Faults, SimKernel, Trace};
use std::time::Duration;

const PORT: u16 = 80;
/// Bytes that the handler which comes in between writes at a time.
const MARK: [u8; 100] = [0xff; 100];
const LONG: Duration = Duration::from_secs(3600);

/// Answers each byte by so many of the same, as one that looks at nothing does.
struct Answering {
    times: usize,
    last: Option<SimConnection>,
    ended: usize,
    failed: Vec<ConnectionError>,
}

impl Answering {
    fn new(times: usize) -> Self {
        Self { times, last: None, ended: 0, failed: Vec::new() }
    }
}

impl TcpService<SimKernel> for Answering {
    fn accepted(&mut self, connection: &SimConnection) {
        self.last = Some(connection.clone());
    }

    fn received(&mut self, connection: &SimConnection) {
        loop {
            let mut block = [0; 16];
            // What is over has nothing to read.
            let Ok(length @ 1..) = connection.read(&mut block) else { return };
            let answer: Vec<u8> =
                block[..length].iter().flat_map(|byte| vec![*byte; self.times]).collect();
            assert_ne!(connection.write(&answer), Written::Refused);
        }
    }

    fn failed(&mut self, _: &SimConnection, error: ConnectionError) {
        self.failed.push(error);
    }

    fn ended(&mut self, _: &SimConnection) {
        self.ended += 1;
    }
}

/// Writes its requests as long as it is not told to wait, finishes, and collects the answers, unless it pauses.
struct Asking {
    requests: Vec<u8>,
    written: usize,
    answers: Vec<u8>,
    paused: bool,
    ended: usize,
    failed: Vec<ConnectionError>,
}

impl Asking {
    fn new(requests: Vec<u8>, paused: bool) -> Self {
        Self { requests, written: 0, answers: Vec::new(), paused, ended: 0, failed: Vec::new() }
    }

    fn push(&mut self, connection: &SimConnection) {
        while self.written < self.requests.len() {
            let rest = &self.requests[self.written..];
            let chunk = &rest[..rest.len().min(300)];
            let written = connection.write(chunk);
            assert_ne!(written, Written::Refused);
            self.written += chunk.len();
            if written == Written::Hold {
                return;
            }
        }
        connection.finish();
    }

    fn collect(&mut self, connection: &SimConnection) {
        let answers = &mut self.answers;
        while connection
            .receive(|bytes| {
                answers.extend_from_slice(bytes);
                bytes.len()
            })
            .is_ok_and(|bytes| bytes > 0)
        {}
    }
}

impl TcpService<SimKernel> for Asking {
    fn connected(&mut self, connection: &SimConnection) {
        self.push(connection);
    }

    fn received(&mut self, connection: &SimConnection) {
        if !self.paused {
            self.collect(connection);
        }
    }

    fn sent(&mut self, connection: &SimConnection) {
        self.push(connection);
    }

    fn failed(&mut self, _: &SimConnection, error: ConnectionError) {
        self.failed.push(error);
    }

    fn ended(&mut self, connection: &SimConnection) {
        // What is unread now is lost otherwise.
        self.collect(connection);
        self.ended += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Requests and answers, each more than all buffers hold, over a bad wire; a client that does not read for a
    /// while; a handler that comes upon the server's anywhere and writes something of its own: every byte of
    /// every write arrives, none apart from the others of its write, and both sides end as they are closed.
    #[test]
    fn what_is_written_arrives_whole_and_nobody_is_cut_off(
        seed in 0u64..1 << 32,
        requests in 1usize..3000,
        times in 1usize..30,
        (send, queue) in (200usize..1500, 1000usize..4000),
        lost in 0u64..4,
        priority in prop_oneof![Just(Priority::LOW), Just(Priority::DEFAULT), Just(Priority::HIGH)],
        marks in prop::collection::vec(1u32..400, 0..12),
    ) {
        let world = World::new(seed);
        world.set_faults(Faults { lost, ..Faults::default() });
        let [server, client] = &world.hosts;
        let service = server.kernel.context(Answering::new(times), 1 << 20);
        let listening = server.net.listen(PORT).priority(priority).buffers(1000, send).queue(queue);
        listening.serve(service).unwrap();
        let requests: Vec<u8> = pattern(requests, seed).iter().map(|byte| byte & 0x7f).collect();
        let asking = client.kernel.context(Asking::new(requests.clone(), true), 1 << 20);
        let connector = client.net.connector().buffers(900, 700).queue(800).serve(asking).unwrap();
        let connection = connector.connect(at(server, PORT)).unwrap();

        let above = server.kernel.context((None::<SimConnection>, 0), 4096);
        let registration =
            Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Count };
        let mark = |(connection, marked): &mut (Option<SimConnection>, usize), _: Activation| {
            let Some(connection) = connection else { return };
            if connection.writable().is_ok_and(|room| room >= MARK.len())
                && connection.write(&MARK) != Written::Refused
            {
                *marked += 1;
            }
        };
        let mark = server.kernel.register(above, registration, mark).unwrap();
        for section in marks {
            let last = server.kernel.state(service, |state| state.last.clone());
            server.kernel.state(above, |state| state.0 = last);
            server.kernel.activate_in_section(mark, section);
            world.run_for(Duration::from_millis(3));
        }
        // Whatever the client has asked for, the server is none the worse for it.
        world.run_for(Duration::from_secs(20));
        prop_assert_eq!(&server.kernel.state(service, |state| state.failed.clone()), &[]);
        client.kernel.state(asking, |state| {
            state.paused = false;
            state.collect(&connection);
        });
        let done = world.run_until(LONG, |_| {
            client.kernel.state(asking, |state| state.ended) == 1
                && server.kernel.state(service, |state| state.ended) == 1
        });
        let marked = server.kernel.state(above, |state| state.1);
        let (answers, failed) =
            client.kernel.state(asking, |state| (state.answers.clone(), state.failed.clone()));
        prop_assert!(done, "{} answers, {:?}, {:?}", answers.len(), failed, server.net.counters());
        let own: Vec<u8> = answers.iter().copied().filter(|byte| *byte != 0xff).collect();
        let expected: Vec<u8> = requests.iter().flat_map(|byte| vec![*byte; times]).collect();
        prop_assert_eq!(own, expected);
        for run in answers.chunk_by(|one, next| (*one == 0xff) == (*next == 0xff)) {
            prop_assert!(run[0] != 0xff || run.len() % MARK.len() == 0, "a write was torn apart");
        }
        prop_assert_eq!(answers.iter().filter(|byte| **byte == 0xff).count(), marked * MARK.len());
        let counters = server.net.counters();
        prop_assert_eq!((counters.ended, counters.failed, counters.write_overflows), (1, 0, 0));
    }
}

/// A machine with a peer that is segments made by hand.
fn lone(service: Noting, queue: usize) -> (Clock, Host, reflex_event::Context<Noting>, u32) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 5);
    host.exchange(&clock, &introduce(host.address));
    let service = host.kernel.context(service, 1 << 20);
    let listening = host.net.listen(PORT).connections(2).buffers(2000, 1000).queue(queue);
    listening.serve(service).unwrap();
    let syn = Segment::new(4000, PORT, SYN, 1000, 0);
    let ack = feed(&clock, &host, &syn)[0].sequence.wrapping_add(1);
    feed(&clock, &host, &Segment::new(4000, PORT, ACK, 1001, ack));
    (clock, host, service, ack)
}

fn feed(clock: &Clock, host: &Host, segment: &Segment) -> Vec<Segment> {
    segments(&host.exchange(clock, &segment.frame(host.mac, host.address)))
}

/// The bytes in segments, each of which follows the one before.
fn payload(segments: &[Segment]) -> Vec<u8> {
    segments.iter().flat_map(|segment| segment.payload.clone()).collect()
}

#[test]
fn more_than_the_queue_has_room_for_resets_and_is_told() {
    let (clock, host, service, ack) = lone(Noting::new("s", &Trace::default()), 500);
    let connection = host.kernel.state(service, |state| state.last.clone().unwrap());
    assert_eq!(connection.writable(), Ok(1500));
    assert_eq!(connection.write(&pattern(1200, 1)), Written::Taken);
    assert_eq!(connection.write(&pattern(100, 1)), Written::Hold);
    assert_eq!(connection.writable(), Ok(200));
    assert_eq!(connection.write(&pattern(201, 1)), Written::Refused);
    host.kernel.run_until_idle();
    let sent = segments(&host.sent(&clock));
    // What was written before is not sent either, but for what had gone already.
    assert!(sent.iter().any(|segment| segment.flags & RST != 0 && segment.acknowledgement == 1001));
    assert_eq!(payload(&sent), b"");
    let failed = host.kernel.state(service, |state| state.failed.clone());
    assert_eq!(failed, [ConnectionError::WriteOverflow]);
    assert_eq!(connection.write(b"more"), Written::Refused);
    let counters = host.net.counters();
    assert_eq!((counters.write_overflows, counters.failed, counters.ended), (1, 1, 0));
    // The place serves the next, with nothing left of that.
    let _ = ack;
    let syn = feed(&clock, &host, &Segment::new(4001, PORT, SYN, 1, 0));
    feed(&clock, &host, &Segment::new(4001, PORT, ACK, 2, syn[0].sequence.wrapping_add(1)));
    let next = host.kernel.state(service, |state| state.last.clone().unwrap());
    assert_eq!((next.slot(), next.writable()), (connection.slot(), Ok(1500)));
}

#[test]
fn without_memory_for_the_queue_the_connection_fails_and_the_owner_is_told() {
    let (_, host, service, _) = lone(Noting::new("s", &Trace::default()), 2 << 20);
    let connection = host.kernel.state(service, |state| state.last.clone().unwrap());
    assert_eq!(connection.write(&pattern(4000, 1)), Written::Refused);
    host.kernel.run_until_idle();
    let failed = host.kernel.state(service, |state| state.failed.clone());
    assert_eq!(failed, [ConnectionError::WriteOverflow]);
    assert_eq!(host.kernel.troubles(service), [Trouble::PoolExhausted]);
}

#[test]
fn a_send_does_not_overtake_what_was_written() {
    let (clock, host, service, ack) = lone(Noting::new("s", &Trace::default()), 4000);
    let connection = host.kernel.state(service, |state| state.last.clone().unwrap());
    let bytes = pattern(2500, 1);
    assert_eq!(connection.write(&bytes), Written::Taken);
    assert_eq!((connection.sendable(), connection.send(b"more")), (Ok(0), Ok(0)));
    assert_eq!(connection.unacknowledged(), Ok(Some(2500)));
    host.kernel.run_until_idle();
    let mut sent = payload(&segments(&host.sent(&clock)));
    while sent.len() < bytes.len() {
        let acknowledged = ack.wrapping_add(sent.len() as u32);
        let next =
            payload(&feed(&clock, &host, &Segment::new(4000, PORT, ACK, 1001, acknowledged)));
        assert!(!next.is_empty(), "{} bytes were sent", sent.len());
        sent.extend(next);
    }
    assert_eq!(sent, bytes);
    assert_eq!(connection.send(b"more"), Ok(4));
}

/// The default at a half-close: a request and a FIN in one segment are answered in full, and then our side is
/// closed.
#[test]
fn what_was_asked_before_a_half_close_is_answered() {
    let world = World::new(9);
    let [server, client] = &world.hosts;
    let service = server.kernel.context(Answering::new(40), 1 << 20);
    server.net.listen(PORT).buffers(500, 300).queue(2000).serve(service).unwrap();
    let asking = client.kernel.context(Asking::new(pattern(2000, 3), false), 1 << 20);
    let connector = client.net.connector().queue(3000).serve(asking).unwrap();
    connector.connect(at(server, PORT)).unwrap();
    let ended = |host: &Host| host.net.counters().ended == 1;
    assert!(world.run_until(LONG, |_| ended(server) && ended(client)));
    assert_eq!(client.kernel.state(asking, |state| state.answers.len()), 80_000);
}

/// The same with a service that answers in place, by what there is room for.
#[test]
fn what_waits_for_room_is_answered_before_the_fin() {
    struct Echo;
    impl Echo {
        fn echo(connection: &SimConnection) {
            let mut block = [0; 100];
            while connection
                .exchange(&mut block, |bytes, room| {
                    let length = bytes.len().min(room.len());
                    room[..length].copy_from_slice(&bytes[..length]);
                    (length, length)
                })
                .is_ok_and(|echoed| echoed.goes_on())
            {}
        }
    }
    impl TcpService<SimKernel> for Echo {
        fn received(&mut self, connection: &SimConnection) {
            Self::echo(connection);
        }

        fn sent(&mut self, connection: &SimConnection) {
            Self::echo(connection);
        }
    }
    for paused in [false, true] {
        let world = World::new(10);
        let [server, client] = &world.hosts;
        let service = server.kernel.context(Echo, 1 << 20);
        server.net.listen(PORT).buffers(3000, 300).queue(0).serve(service).unwrap();
        let requests = pattern(5000, 3);
        let asking = client.kernel.context(Asking::new(requests.clone(), paused), 1 << 20);
        let connector = client.net.connector().buffers(600, 600).queue(5000).serve(asking).unwrap();
        let connection = connector.connect(at(server, PORT)).unwrap();
        world.run_for(Duration::from_secs(30));
        client.kernel.state(asking, |state| {
            state.paused = false;
            state.collect(&connection);
        });
        let ended = |host: &Host| host.net.counters().ended == 1;
        assert!(world.run_until(LONG, |_| ended(server) && ended(client)), "paused: {paused}");
        assert!(client.kernel.state(asking, |state| state.answers == requests));
    }
}

#[test]
fn what_is_written_before_a_connection_is_established_waits_for_that() {
    let world = World::new(4);
    let [server, client] = &world.hosts;
    let trace = Trace::default();
    let service = server.kernel.context(Noting::new("server", &trace), 1 << 20);
    server.net.listen(PORT).serve(service).unwrap();
    let quiet = client.kernel.context(Noting::new("client", &trace), 1 << 20);
    let connector = client.net.connector().queue(1000).serve(quiet).unwrap();
    let connection = connector.connect(at(server, PORT)).unwrap();
    assert_eq!(connection.write(b"early "), Written::Taken);
    assert_eq!(connection.write(b"bytes"), Written::Taken);
    connection.finish();
    assert!(world.run_until(LONG, |_| server.net.counters().ended == 1));
    assert_eq!(server.kernel.state(service, |state| state.received.clone()), [b"early bytes"]);
}

#[test]
fn an_end_that_was_wanted_comes_once_all_is_sent_and_nothing_is_taken_then() {
    let (clock, host, service, ack) = lone(Noting::new("s", &Trace::default()), 4000);
    let connection = host.kernel.state(service, |state| state.last.clone().unwrap());
    assert_eq!(connection.write(&pattern(1500, 1)), Written::Taken);
    connection.finish();
    // Until the FIN is on its way more may be written.
    assert_eq!(connection.write(b"the end"), Written::Taken);
    host.kernel.run_until_idle();
    let mut sent = segments(&host.sent(&clock));
    for _ in 0..8 {
        let acknowledged = ack.wrapping_add(payload(&sent).len() as u32);
        sent.extend(feed(&clock, &host, &Segment::new(4000, PORT, ACK, 1001, acknowledged)));
    }
    assert_eq!(payload(&sent).len(), 1507);
    let finished: Vec<bool> = sent.iter().map(|segment| segment.flags & FIN != 0).collect();
    assert_eq!(finished.iter().position(|fin| *fin), Some(sent.len() - 1), "{finished:?}");
    assert_eq!(connection.write(b"more"), Written::Refused);
}
