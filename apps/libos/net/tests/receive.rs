//! Frames on their way from the interface to their owners: order, priorities, and floods.

use crate::common;
use common::raw::{ACK, SYN, Segment, introduce, segments, udp};
use common::{Host, Noting};
use proptest::prelude::*;
use reflex_event::{Accumulation, Activation, EventSystem, Instant, Priority, Registration};
use reflex_net::{Datagram, Error, UdpService, UdpSocket};
use reflex_testkit::{Clock, SimKernel, Trace};
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};

fn start() -> (Clock, Host, Trace) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 3);
    host.exchange(&clock, &introduce(host.address));
    (clock, host, Trace::default())
}

fn open(host: &Host, clock: &Clock, source: u16, port: u16) -> u32 {
    let feed =
        |segment: Segment| segments(&host.exchange(clock, &segment.frame(host.mac, host.address)));
    let ack = feed(Segment::new(source, port, SYN, 1000, 0))[0].sequence.wrapping_add(1);
    feed(Segment::new(source, port, ACK, 1001, ack));
    ack
}

fn registration(priority: Priority) -> Registration {
    Registration { priority, accumulation: Accumulation::Count }
}

/// Notes what datagrams say.
struct Hearing {
    name: &'static str,
    trace: Trace,
}

impl UdpService<SimKernel> for Hearing {
    fn datagram(&mut self, _: &UdpSocket<SimKernel>, datagram: Datagram<'_>) {
        self.trace.note(format!("{} {}", self.name, datagram.payload.len()));
    }
}

const PORTS: [(u16, Priority); 3] =
    [(80, Priority::LOW), (81, Priority::DEFAULT), (82, Priority::HIGH)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However many frames come before somebody looks, and wherever an interruption delivers some
    /// more: each connection hears its bytes, all of them and in order.
    #[test]
    fn frames_taken_in_any_chopping_keep_their_order(
        bursts in prop::collection::vec((1usize..40, 1u32..12, any::<u64>()), 1..25),
    ) {
        let (clock, host, trace) = start();
        let services = PORTS.map(|(port, priority)| {
            let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
            let listening = host.net.listen(port).priority(priority).buffers(65000, 1000);
            listening.serve(service).unwrap();
            service
        });
        let mut connections: Vec<(u16, u16, u32, Vec<u8>)> = Vec::new();
        for (number, (port, _)) in PORTS.iter().cycle().take(6).enumerate() {
            let source = 4000 + number as u16;
            let ack = open(&host, &clock, source, *port);
            connections.push((source, *port, ack, Vec::new()));
        }
        let late: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let above = host.kernel.context((), 4096);
        let (line, wire, frames) = (host.line.clone(), host.wire.clone(), Arc::clone(&late));
        let handler = move |(): &mut (), _: Activation| {
            for frame in frames.lock().unwrap().drain(..) {
                line.deliver(wire.frame(&frame));
            }
        };
        let event =
            host.kernel.register(above, registration(Priority::HIGHEST), handler).unwrap();
        for (frames, section, seed) in bursts {
            let mut random = reflex_testkit::Random::new(seed);
            for number in 0..frames {
                let which = random.below(6) as usize;
                let (source, port, ack, sent) = &mut connections[which];
                let payload = common::pattern(1 + random.below(30) as usize, seed ^ number as u64);
                let segment = Segment::new(*source, *port, ACK, 1001 + sent.len() as u32, *ack);
                let frame = segment.with(&payload).frame(host.mac, host.address);
                sent.extend_from_slice(&payload);
                // The last of them come while the others are being taken.
                if number * 2 < frames {
                    host.inject(&frame);
                } else {
                    late.lock().unwrap().push(frame);
                }
            }
            host.kernel.activate_in_section(event, section);
            host.kernel.run_until_idle();
            // In case there were fewer sections.
            host.kernel.activate(event, 1).unwrap();
            host.kernel.run_until_idle();
            host.sent(&clock);
        }
        prop_assert_eq!(host.line.arrivals.waiting(), 0);
        for (number, (_, _, _, sent)) in connections.iter().enumerate() {
            let heard = host.kernel.state(services[number % 3], |state| {
                state.received[number / 3].clone()
            });
            prop_assert!(heard == *sent, "{} bytes of {}", heard.len(), sent.len());
        }
        let counters = host.net.counters();
        prop_assert_eq!(counters.queue_full + counters.frames_exhausted + counters.bad_checksum, 0);
    }
}

/// Many connections of the highest priority that send at once are served one after the other: what
/// comes faster than that waits with the device, and nothing is dropped.
#[test]
fn a_burst_of_many_connections_is_not_dropped() {
    const CONNECTIONS: u16 = 1200;
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 16 << 20);
    let listening = host.net.listen(80).connections(CONNECTIONS.into()).backlog(1200);
    listening.buffers(1024, 1024).serve(service).unwrap();
    let acks: Vec<u32> = (0..CONNECTIONS).map(|n| open(&host, &clock, 4000 + n, 80)).collect();
    for (number, ack) in (0..).zip(acks) {
        let segment = Segment::new(4000 + number, 80, ACK, 1001, ack).with(b"!");
        host.inject(&segment.frame(host.mac, host.address));
    }
    host.kernel.run_until_idle();
    let heard = host.kernel.state(service, |state| state.received.concat());
    assert_eq!(heard.len(), usize::from(CONNECTIONS));
    assert_eq!(host.net.counters().queue_full, 0);
}

/// What an urgent handler waits for is the section in hand, however many frames there are.
#[test]
fn a_flood_delays_an_urgent_handler_by_one_frame_at_most() {
    const FLOOD: usize = 200;
    for section in 1..150 {
        let (_, host, trace) = start();
        let flooded = Hearing { name: "low", trace: trace.clone() };
        let flooded = host.kernel.context(flooded, 1 << 20);
        host.net.udp(9).priority(Priority::LOW).serve(flooded).unwrap();
        let urgent = host.kernel.context((), 4096);
        let (arrivals, seen) = (host.line.arrivals.clone(), trace.clone());
        let handler = move |(): &mut (), _: Activation| {
            seen.note(format!("urgent {}", arrivals.waiting()));
        };
        let event = host.kernel.register(urgent, registration(Priority::HIGH), handler).unwrap();
        for _ in 0..FLOOD {
            host.inject(&udp(host.mac, host.address, (1234, 9), b"flood"));
        }
        host.kernel.activate_in_section(event, section);
        host.kernel.run_until_idle();
        let lines = trace.take();
        let waiting = lines.iter().find_map(|line| line.strip_prefix("urgent "));
        let waiting: usize = waiting.expect("it was called").parse().unwrap();
        // A frame takes a section; one is looked at ahead of the one in hand.
        assert!(waiting + section as usize + 1 >= FLOOD, "{waiting} in section {section}");
        let heard = lines.iter().filter(|line| line.starts_with("low ")).count();
        let counters = host.net.counters();
        assert_eq!(heard as u64, counters.datagrams);
        assert_eq!(heard as u64 + counters.queue_full, FLOOD as u64);
        assert!(heard > 0 && counters.queue_full > 0, "{heard} were heard");
    }
}

/// Frames behind a flood are found, and those of a high priority served, before handlers of a lower
/// priority have their turn.
#[test]
fn a_high_frame_waits_neither_for_a_flood_nor_for_medium_handlers() {
    let (clock, host, trace) = start();
    let context = |name| {
        let state = Hearing { name, trace: trace.clone() };
        host.kernel.context(state, 1 << 20)
    };
    let (low, high) = (context("low"), context("high"));
    let tcp = host.kernel.context(Noting::new("tcp", &trace), 1 << 20);
    host.net.udp(9).priority(Priority::LOW).serve(low).unwrap();
    host.net.udp(10).priority(Priority::HIGH).serve(high).unwrap();
    host.net.listen(80).priority(Priority::HIGH).serve(tcp).unwrap();
    let ack = open(&host, &clock, 4000, 80);
    let medium = host.kernel.context((), 4096);
    let notes = trace.clone();
    let handler = move |(): &mut (), _: Activation| notes.note("medium");
    let event = host.kernel.register(medium, registration(Priority::DEFAULT), handler).unwrap();
    trace.take();

    host.kernel.activate(event, 1).unwrap();
    for _ in 0..100 {
        host.inject(&udp(host.mac, host.address, (1234, 9), b"flood"));
    }
    host.inject(&udp(host.mac, host.address, (1234, 10), b"?"));
    let segment = Segment::new(4000, 80, ACK, 1001, ack).with(b"!");
    host.inject(&segment.frame(host.mac, host.address));
    host.kernel.run_until_idle();
    let lines = trace.take();
    let place = |line: &str| lines.iter().position(|other| other == line).expect(line);
    assert!(place("high 1") < place("medium"), "{lines:?}");
    assert!(place("tcp received") < place("medium"), "{lines:?}");
    assert!(place("medium") < place("low 5"), "{lines:?}");
}

/// Frames are received at the highest priority that anybody has now, not that anybody ever had.
#[test]
fn a_priority_of_a_connection_s_own_ends_with_it() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    host.net.listen(80).priority(Priority::LOW).serve(service).unwrap();
    let medium = host.kernel.context((), 4096);
    let notes = trace.clone();
    let handler = move |(): &mut (), _: Activation| notes.note("medium");
    let above = Priority::new(Priority::DEFAULT.level() + 1).unwrap();
    let event = host.kernel.register(medium, registration(above), handler).unwrap();
    let order = |source: u16, ack: u32, sequence: u32| {
        trace.take();
        host.kernel.activate(event, 1).unwrap();
        let segment = Segment::new(source, 80, ACK, sequence, ack).with(b"!");
        host.inject(&segment.frame(host.mac, host.address));
        host.kernel.run_until_idle();
        trace.take()
    };
    let ack = open(&host, &clock, 4000, 80);
    let connection = host.kernel.state(service, |state| state.last.clone().unwrap());
    assert_eq!(order(4000, ack, 1001), ["medium", "s received"]);
    connection.set_priority(Priority::HIGHEST).unwrap();
    assert_eq!(order(4000, ack, 1002), ["s received", "medium"]);
    connection.abort();
    host.kernel.run_until_idle();
    host.sent(&clock);
    let ack = open(&host, &clock, 4001, 80);
    assert_eq!(order(4001, ack, 1001), ["medium", "s received"]);
}

/// A socket that only sends needs no service: what comes to it is dropped, counted, and keeps no buffer; port 0 is
/// any that is free.
#[test]
fn a_socket_that_only_sends_needs_no_service() {
    let (clock, host, _) = start();
    let owner = host.kernel.context((), 1 << 20);
    let peer = SocketAddrV4::new(common::raw::PEER, 9);
    let socket = host.net.udp(5000).send_only(owner).unwrap();
    socket.send_to(b"words", peer).unwrap();
    host.kernel.run_until_idle();
    let sent = host.sent(&clock);
    assert!(sent.iter().any(|frame| frame.ends_with(b"words")), "{sent:x?}");
    for _ in 0..100 {
        host.exchange(&clock, &udp(host.mac, host.address, (9, 5000), b"an answer"));
    }
    let counters = host.net.counters();
    assert_eq!((counters.unwanted, counters.queue_full), (100, 0));
    assert_eq!(host.net.udp(5000).send_only(owner).err(), Some(Error::PortInUse));
    let ports: Vec<u16> =
        (0..50).map(|_| host.net.udp(0).buffers(1, 100).send_only(owner).unwrap().port()).collect();
    assert!(ports.iter().all(|port| *port >= 49152));
    let different: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(different.len(), ports.len());
}
