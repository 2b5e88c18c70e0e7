//! Priorities, preemption, and two who want the same socket.

mod common;

use common::raw::{ACK, SYN, Segment, introduce, segments};
use common::{Host, Noting, SimConnection};
use reflex_event::{Accumulation, Activation, EventId, Instant, Kernel, Priority, Registration};
use reflex_net::TcpService;
use reflex_testkit::{Clock, SimKernel, Trace};

fn open(host: &Host, clock: &Clock, source: u16, port: u16) -> u32 {
    let feed =
        |segment: Segment| segments(&host.exchange(clock, &segment.frame(host.mac, host.address)));
    let ack = feed(Segment::new(source, port, SYN, 1000, 0))[0].sequence.wrapping_add(1);
    feed(Segment::new(source, port, ACK, 1001, ack));
    ack
}

fn start() -> (Clock, Host, Trace) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 3);
    host.exchange(&clock, &introduce(host.address));
    (clock, host, Trace::default())
}

#[test]
fn a_segment_of_a_high_connection_overtakes_queued_low_ones() {
    let (clock, host, trace) = start();
    let low = host.kernel.context(Noting::new("low", &trace), 1 << 20);
    let high = host.kernel.context(Noting::new("high", &trace), 1 << 20);
    host.net.listen(80).priority(Priority::LOW).serve(low).unwrap();
    host.net.listen(81).priority(Priority::HIGH).serve(high).unwrap();
    let acks: Vec<u32> = (0..5u16).map(|n| open(&host, &clock, 4000 + n, 80)).collect();
    let urgent = open(&host, &clock, 5000, 81);
    trace.take();
    for (n, ack) in acks.iter().enumerate() {
        let segment = Segment::new(4000 + n as u16, 80, ACK, 1001, *ack).with(b"low");
        host.inject(&segment.frame(host.mac, host.address));
    }
    let segment = Segment::new(5000, 81, ACK, 1001, urgent).with(b"high");
    host.inject(&segment.frame(host.mac, host.address));
    host.kernel.run_until_idle();
    let lines = trace.take();
    assert_eq!(lines[0], "high received", "{lines:?}");
    assert_eq!(lines[1..], ["low received"; 5]);
}

#[test]
fn a_connection_can_be_given_a_priority_of_its_own_until_it_ends() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    host.net.listen(80).connections(2).serve(service).unwrap();
    let first = open(&host, &clock, 4000, 80);
    let slow = host.kernel.state(service, |state| state.last.clone().unwrap());
    open(&host, &clock, 4001, 80);
    let fast = host.kernel.state(service, |state| state.last.clone().unwrap());
    fast.set_priority(Priority::HIGHEST).unwrap();
    assert_eq!(fast.priority(), Ok(Priority::HIGHEST));
    assert_eq!(slow.priority(), Ok(Priority::DEFAULT));
    fast.abort();
    host.kernel.run_until_idle();
    host.sent(&clock);
    assert!(fast.priority().is_err());
    open(&host, &clock, 4002, 80);
    let next = host.kernel.state(service, |state| state.last.clone().unwrap());
    assert_eq!((next.slot(), next.priority()), (fast.slot(), Ok(Priority::DEFAULT)));
    assert!(next != fast);
    assert!(slow.is_open());
    assert_ne!(first, 0);
}

/// A service whose `received` is interrupted, while it holds the socket, by segments for the
/// same connection.
struct Interrupted {
    trace: Trace,
    kernel: SimKernel,
    interruption: Option<EventId>,
    received: Vec<u8>,
}

impl TcpService<SimKernel> for Interrupted {
    fn received(&mut self, connection: &SimConnection) {
        let interruption = self.interruption.take();
        let read = connection.receive(|bytes| {
            self.trace.note(format!("reading {}", bytes.len()));
            if let Some(event) = interruption {
                self.kernel.activate(event, 1).unwrap();
            }
            // The bytes must not change under the reader.
            self.received.extend_from_slice(bytes);
            bytes.len()
        });
        self.trace.note(format!("read {}", read.unwrap()));
    }
}

#[test]
fn frames_for_a_socket_that_the_application_holds_wait_and_are_not_lost() {
    let (clock, host, trace) = start();
    let service = Interrupted {
        trace: trace.clone(),
        kernel: host.kernel.clone(),
        interruption: None,
        received: Vec::new(),
    };
    // The stack works at HIGH for this connection, its handlers then run at LOW.
    let service = host.kernel.context(service, 1 << 20);
    host.net.listen(80).priority(Priority::LOW).serve(service).unwrap();
    let ack = open(&host, &clock, 4000, 80);
    let frame = |sequence: u32, payload: &[u8]| {
        let segment = Segment::new(4000, 80, ACK, sequence, ack).with(payload);
        segment.frame(host.mac, host.address)
    };
    let second = frame(1006, b"world");
    let interrupter = host.kernel.context((), 4096);
    let (wire, demultiplexer) = (host.wire.clone(), host.net.demultiplexer());
    let (kernel, notes, stack_trace) = (host.kernel.clone(), trace.clone(), host.net.clone());
    let registration =
        Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Count };
    let event = host
        .kernel
        .register(interrupter, registration, move |(): &mut (), _: Activation| {
            notes.note("interrupted");
            let frame = wire.frame(&second);
            kernel.section(|| demultiplexer.frame(frame));
            notes.note(format!("{} segments", stack_trace.counters().segments));
        })
        .unwrap();
    host.kernel.state(service, |state| state.interruption = Some(event));
    host.exchange(&clock, &frame(1001, b"hello"));
    let lines = trace.take();
    let expected = ["reading 5", "interrupted", "3 segments", "read 5", "reading 5", "read 5"];
    assert_eq!(lines, expected);
    host.kernel.state(service, |state| assert_eq!(state.received, b"helloworld"));
}

/// A handler above the stack's priority calls on a connection the stack is at work on.
#[test]
fn a_handler_that_finds_the_stack_at_work_is_told_again() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    host.net.listen(80).priority(Priority::LOW).serve(service).unwrap();
    let ack = open(&host, &clock, 4000, 80);
    let connection = host.kernel.state(service, |state| {
        state.deaf = true;
        state.last.clone().unwrap()
    });
    trace.take();
    // The stack's turn asks the kernel for a section while it holds the socket only when more
    // frames are queued: the interruption comes at the activation that follows the first.
    let frame = |sequence: u32| {
        let segment = Segment::new(4000, 80, ACK, sequence, ack).with(b"12345");
        segment.frame(host.mac, host.address)
    };
    let registration =
        Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Count };
    let above = host.kernel.context((), 4096);
    let notes = trace.clone();
    let event = host
        .kernel
        .register(above, registration, move |(): &mut (), _: Activation| {
            let read = connection.receive(|bytes| bytes.len());
            notes.note(format!("above read {read:?}"));
            let sent = connection.send(b"answer");
            notes.note(format!("above sent {sent:?}"));
        })
        .unwrap();
    for n in 0..3 {
        host.inject(&frame(1001 + n * 5));
    }
    // Arrange for the interruption inside the turn: the section that pops the second frame
    // ends, and with it the deferral.
    host.kernel.activate_in_section(event, 2);
    host.kernel.run_until_idle();
    let lines = trace.take();
    assert_eq!(lines[..2], ["above read Ok(0)", "above sent Ok(0)"], "{lines:?}");
    assert!(lines[2..].contains(&"s received".into()), "{lines:?}");
    assert!(lines[2..].contains(&"s sent".into()), "{lines:?}");
}
