//! The acceptance of connections at its edges: what comes at once, twice, too late, too much.

use crate::common::raw::{ACK, FIN, RST, SYN, Segment, introduce, segments};
use crate::common::{Host, Noting};
use reflex_event::{Accumulation, Activation, EventSystem, Instant, Priority, Registration};
use reflex_net::Listener;
use reflex_testkit::{Clock, SimKernel, Trace};

const PORT: u16 = 80;

fn start() -> (Clock, Host, Trace) {
    start_with(64)
}

/// With so many buffers for frames.
fn start_with(buffers: u32) -> (Clock, Host, Trace) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::with(&clock, 1, 3, buffers as usize, |config| config.frames = buffers);
    host.exchange(&clock, &introduce(host.address));
    (clock, host, Trace::default())
}

fn inject(host: &Host, segment: &Segment) {
    host.inject(&segment.frame(host.mac, host.address));
}

fn feed(host: &Host, clock: &Clock, segment: &Segment) -> Vec<Segment> {
    segments(&host.exchange(clock, &segment.frame(host.mac, host.address)))
}

/// Opens a connection from `port`: what to acknowledge.
fn open(host: &Host, clock: &Clock, port: u16) -> u32 {
    let answer = feed(host, clock, &Segment::new(port, PORT, SYN, 1000, 0));
    let ack = answer[0].sequence.wrapping_add(1);
    feed(host, clock, &Segment::new(port, PORT, ACK, 1001, ack));
    ack
}

/// Some are looked at in one run, and whatever is left in the next.
#[test]
fn openings_that_come_together_are_all_heard() {
    for count in 1..=20_u16 {
        let (clock, host, trace) = start();
        let service = host.kernel.context(Noting::new("s", &trace), 8 << 20);
        host.net.listen(PORT).serve(service).unwrap();
        for number in 0..count {
            inject(&host, &Segment::new(4000 + number, PORT, SYN, 1000, 0));
        }
        host.kernel.run_until_idle();
        let answers = segments(&host.sent(&clock));
        let ports: Vec<u16> = answers.iter().map(|answer| answer.target).collect();
        assert_eq!(ports, (4000..4000 + count).collect::<Vec<_>>(), "in the order they came");
        assert!(answers.iter().all(|answer| answer.flags == SYN | ACK));
    }
}

#[test]
fn an_opening_that_comes_twice_at_once_is_one_connection() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    let listener = host.net.listen(PORT).serve(service).unwrap();
    for _ in 0..2 {
        inject(&host, &Segment::new(4000, PORT, SYN, 1000, 0));
    }
    host.kernel.run_until_idle();
    // Each is answered, by the same.
    let answers = segments(&host.sent(&clock));
    assert_eq!((answers.len(), answers[0].flags), (2, SYN | ACK));
    assert_eq!(answers[0], answers[1]);
    assert_eq!((listener.peak(), listener.half_open()), (1, 1));
    let ack = answers[0].sequence.wrapping_add(1);
    feed(&host, &clock, &Segment::new(4000, PORT, ACK, 1001, ack));
    assert_eq!(trace.take(), ["s accepted"]);
}

/// Between any two sections: an opening is answered, refused, or not heard; and no place is lost.
#[test]
fn a_port_may_be_closed_while_openings_wait() {
    for section in 1..80 {
        let (clock, host, trace) = start();
        let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
        let listen = || host.net.listen(PORT).connections(2).serve(service).unwrap();
        let closing = host.kernel.context(Some(listen()), 4096);
        let registration =
            Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Count };
        let close = |listener: &mut Option<Listener<SimKernel>>, _: Activation| {
            listener.take().into_iter().for_each(|listener| listener.close());
        };
        let event = host.kernel.register(closing, registration, close).unwrap();
        for port in [4000, 4001] {
            inject(&host, &Segment::new(port, PORT, SYN, 1000, 0));
        }
        host.kernel.activate_in_section(event, section);
        host.kernel.run_until_idle();
        let answers = segments(&host.sent(&clock));
        let accepted = answers.iter().filter(|answer| answer.flags == SYN | ACK).count();
        let refused = answers.iter().filter(|answer| answer.flags & RST != 0).count();
        assert_eq!(accepted + refused, answers.len(), "section {section}: {answers:?}");
        assert!(answers.len() <= 2);
        assert_eq!(host.net.counters().half_open, accepted as u64, "section {section}");
        // It is closed now, if it was not before; what was accepted stays; and it opens again.
        host.kernel.activate(event, 1).unwrap();
        let late = feed(&host, &clock, &Segment::new(4002, PORT, SYN, 1000, 0));
        assert_eq!(late[0].flags & RST, RST, "section {section}");
        let again = listen();
        for port in [5000, 5001] {
            let answer = feed(&host, &clock, &Segment::new(port, PORT, SYN, 1000, 0));
            assert_eq!(answer[0].flags, SYN | ACK, "section {section}");
        }
        assert_eq!(again.half_open(), 2);
    }
}

/// A connection has one event of the stack's and one of its owner's; the next in its place takes
/// them over.
#[test]
fn a_place_is_registered_once() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    host.net.listen(PORT).connections(1).serve(service).unwrap();
    let before = host.kernel.registrations();
    for port in 4000..4010 {
        open(&host, &clock, port);
        assert_eq!(host.kernel.registrations(), before + 2);
        host.kernel.state(service, |state| state.last.clone().unwrap().abort());
        host.kernel.run_until_idle();
        host.sent(&clock);
    }
}

/// The connection in TIME-WAIT ends with the opening that takes its 4-tuple, and lends it its place.
#[test]
fn a_connection_that_is_reopened_keeps_its_place() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    let listener = host.net.listen(PORT).connections(8).serve(service).unwrap();
    let before = host.kernel.registrations();
    for round in 0..4 {
        let first = 1000 + round * 1000;
        let answer = feed(&host, &clock, &Segment::new(4000, PORT, SYN, first, 0));
        let ack = answer[0].sequence.wrapping_add(1);
        feed(&host, &clock, &Segment::new(4000, PORT, ACK, first + 1, ack));
        host.kernel.state(service, |state| state.last.clone().unwrap().finish());
        host.kernel.run_until_idle();
        host.sent(&clock);
        feed(&host, &clock, &Segment::new(4000, PORT, ACK | FIN, first + 1, ack + 1));
        assert_eq!(trace.take(), ["s accepted", "s closed", "s ended"], "{round}");
        assert_eq!((listener.peak(), host.kernel.registrations()), (1, before + 2), "{round}");
    }
}

/// RFC 1122, 4.2.2.13: a number beyond the last one, in the arithmetic of numbers that wrap.
#[test]
fn only_a_number_beyond_the_last_reopens_a_connection() {
    const NEXT: u32 = 1002;
    for (sequence, reopens) in [
        (NEXT, true),
        (NEXT - 1, false),
        (NEXT + 1, true),
        (NEXT + (1 << 31) - 1, true),
        (NEXT + (1 << 31), false),
        (NEXT.wrapping_sub(1 << 31).wrapping_add(1), false),
    ] {
        let (clock, host, trace) = start();
        let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
        host.net.listen(PORT).serve(service).unwrap();
        let ack = open(&host, &clock, 4000);
        host.kernel.state(service, |state| state.last.clone().unwrap().finish());
        host.kernel.run_until_idle();
        host.sent(&clock);
        feed(&host, &clock, &Segment::new(4000, PORT, ACK | FIN, NEXT - 1, ack + 1));
        assert_eq!(trace.take(), ["s accepted", "s closed", "s ended"]);
        let answers = feed(&host, &clock, &Segment::new(4000, PORT, SYN, sequence, 0));
        let opened = answers.iter().any(|answer| answer.flags == SYN | ACK);
        assert_eq!(opened, reopens, "{sequence}: {answers:?}");
        // What is old changes nothing: the peer's last segment is still acknowledged.
        let last = Segment::new(4000, PORT, ACK | FIN, NEXT - 1, ack + 1);
        let answers = feed(&host, &clock, &last);
        let stands = (answers[0].flags, answers[0].acknowledgement) == (ACK, NEXT);
        assert_eq!(stands, !reopens, "{sequence}: {answers:?}");
    }
}

/// Frames wait for a connection's turn: a window of a kilobyte each and eight more, 256 at most.
/// What is too much is dropped and counted, and costs nobody else.
#[test]
fn a_connection_has_a_window_of_frames_waiting() {
    for (window, most) in [(100, 8), (1024, 9), (4096, 12), (100_000, 105), (1 << 20, 256)] {
        let (clock, host, trace) = start_with(1024);
        let slow = host.kernel.context(Noting::new("slow", &trace), 8 << 20);
        let listening = host.net.listen(PORT).priority(Priority::LOW).connections(1);
        listening.buffers(window, 1000).serve(slow).unwrap();
        // Somebody is urgent, so that frames are received before the slow one has its turn.
        let urgent = host.kernel.context(Noting::new("urgent", &trace), 1 << 20);
        host.net.listen(81).priority(Priority::HIGH).serve(urgent).unwrap();
        let ack = open(&host, &clock, 4000);
        for number in 0..most + 5 {
            inject(&host, &Segment::new(4000, PORT, ACK, 1001 + number, ack).with(b"!"));
        }
        host.kernel.run_until_idle();
        let heard = host.kernel.state(slow, |state| state.received.concat().len());
        let counters = host.net.counters();
        assert_eq!((heard, counters.queue_full), (most.min(window as u32) as usize, 5), "{window}");
    }
}
