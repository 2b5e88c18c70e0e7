//! Priorities, preemption, and two contexts that want the same socket.

use crate::common;
use common::raw::{ACK, SYN, Segment, introduce, segments};
use common::{Host, Noting, SimConnection, World};
use reflex_event::{
    Accumulation, Activation, EventId, EventSystem, Instant, Priority, Registration,
};
use reflex_net::TcpService;
use reflex_testkit::{Clock, Faults, Random, SimKernel, Trace};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

#[test]
fn frames_for_a_socket_that_a_handler_holds_wait_and_are_not_lost() {
    let (clock, host, trace) = start();
    let deaf = Noting { deaf: true, ..Noting::new("s", &trace) };
    let service = host.kernel.context(deaf, 1 << 20);
    host.net.listen(80).priority(Priority::HIGH).serve(service).unwrap();
    let ack = open(&host, &clock, 4000, 80);
    let frame = |sequence: u32, payload: &[u8]| {
        let segment = Segment::new(4000, 80, ACK, sequence, ack).with(payload);
        segment.frame(host.mac, host.address)
    };
    host.exchange(&clock, &frame(1001, b"hello"));
    assert_eq!(trace.take(), ["s accepted", "s received"]);
    let connection = host.kernel.state(service, |state| {
        state.deaf = false;
        state.last.clone().unwrap()
    });

    // A handler below the stack's priority reads; meanwhile more arrives.
    let (wire, line) = (host.wire.clone(), host.line.clone());
    let (kernel, notes) = (host.kernel.clone(), trace.clone());
    let second = frame(1006, b"world");
    let registration = Registration { priority: Priority::LOW, accumulation: Accumulation::Count };
    let below = host.kernel.context((), 4096);
    let handler = move |(): &mut (), _: Activation| {
        let read = connection.receive(|bytes| {
            notes.note(format!("reading {}", bytes.len()));
            let frame = wire.frame(&second);
            let runs = kernel.runs();
            line.deliver(frame);
            assert!(kernel.runs() > runs, "the stack has not tried");
            // The bytes have not changed under the reader.
            assert_eq!(bytes, b"hello");
            bytes.len()
        });
        notes.note(format!("read {read:?}"));
    };
    let event = host.kernel.register(below, registration, handler).unwrap();
    host.kernel.activate(event, 1).unwrap();
    host.kernel.run_until_idle();
    assert_eq!(trace.take(), ["reading 5", "s received", "read Ok(5)"]);
    host.kernel.state(service, |state| assert_eq!(state.received[0], b"world"));
}

/// A handler above the stack's priority calls on a connection the stack is at work on: it is called
/// in every section there is between the arrival of frames and their delivery, some of which are in
/// the connection's turn.
#[test]
fn a_handler_that_finds_the_stack_at_work_is_told_again() {
    let told = (1..12).filter(|section| interrupt_in(*section)).count();
    assert!(told > 0, "no section was in the connection's turn");
}

/// True when the handler came in the midst of the turn, and was told again.
fn interrupt_in(section: u32) -> bool {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::new("s", &trace), 1 << 20);
    host.net.listen(80).priority(Priority::LOW).serve(service).unwrap();
    let ack = open(&host, &clock, 4000, 80);
    let connection = host.kernel.state(service, |state| {
        state.deaf = true;
        state.last.clone().unwrap()
    });
    trace.take();
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
    host.kernel.activate_in_section(event, section);
    host.kernel.run_until_idle();
    let lines = trace.take();
    let told = |what: &str| lines.iter().any(|line| line == what);
    assert!(told("s received") || told("above read Ok(15)"), "{lines:?}");
    if !told("above sent Ok(0)") {
        return false;
    }
    assert!(told("s sent"), "{lines:?}");
    told("above read Ok(0)")
}

#[test]
fn answers_of_one_priority_leave_with_one_notification() {
    let (clock, host, trace) = start();
    let service = host.kernel.context(Noting::echo("s", &trace), 1 << 20);
    host.net.listen(80).serve(service).unwrap();
    let acks: Vec<u32> = (0..20u16).map(|n| open(&host, &clock, 4000 + n, 80)).collect();
    let before = host.wire.counters();
    for (n, ack) in acks.iter().enumerate() {
        let segment = Segment::new(4000 + n as u16, 80, ACK, 1001, *ack).with(b"hello");
        host.inject(&segment.frame(host.mac, host.address));
    }
    host.kernel.run_until_idle();
    assert_eq!(segments(&host.sent(&clock)).len(), 20);
    let after = host.wire.counters();
    assert_eq!(after.frames - before.frames, 20);
    let notifications = after.notifications - before.notifications;
    assert!(notifications <= 3, "{notifications}");
}

/// Leaves the reading to a handler below the stack's priority.
struct Delegating {
    kernel: SimKernel,
    reader: Option<EventId>,
    connection: Option<SimConnection>,
}

fn drain(connection: &SimConnection, into: &Mutex<Vec<u8>>) {
    let take = |bytes: &[u8]| {
        // Less than there is, so that several reads meet.
        let count = bytes.len().min(700);
        into.lock().unwrap().extend_from_slice(&bytes[..count]);
        count
    };
    while connection.receive(take).is_ok_and(|count| count > 0) {}
}

impl TcpService<SimKernel> for Delegating {
    fn accepted(&mut self, connection: &SimConnection) {
        self.connection = Some(connection.clone());
    }

    fn received(&mut self, _: &SimConnection) {
        if let Some(reader) = self.reader {
            self.kernel.activate(reader, 1).unwrap();
        }
    }
}

/// Interruptions at every place where there can be one: a handler above all others delivers
/// frames to the stack and reads from the connection it or the application is at work on.
#[test]
fn interruptions_anywhere_neither_lose_nor_reorder_a_byte() {
    let mut preemptions = 0;
    for seed in 0..48 {
        let world = World::new(seed);
        world.set_faults(Faults { lost: 2, delayed: 5, ..Faults::default() });
        let [server, client] = &world.hosts;
        let trace = Trace::default();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kernel = server.kernel.clone();
        let service = Delegating { kernel, reader: None, connection: None };
        let service = server.kernel.context(service, 1 << 20);
        let listening = server.net.listen(7).buffers(5000, 5000);
        listening.serve(service).unwrap();
        let data = common::pattern(500_000, seed);
        let talker = Noting { greeting: data.clone(), ..Noting::new("c", &trace) };
        let talker = client.kernel.context(talker, 1 << 20);
        let connector = client.net.connector().serve(talker).unwrap();
        connector.connect(common::at(server, 7)).unwrap();
        let accepted = |_: &World| server.kernel.state(service, |state| state.connection.is_some());
        assert!(world.run_until(Duration::from_secs(60), accepted));
        let connection = server.kernel.state(service, |state| state.connection.clone().unwrap());

        let below = server.kernel.context((), 4096);
        let registration =
            Registration { priority: Priority::LOW, accumulation: Accumulation::Count };
        let (reading, into) = (connection.clone(), Arc::clone(&bytes));
        let handler = move |(): &mut (), _: Activation| drain(&reading, &into);
        let reader = server.kernel.register(below, registration, handler).unwrap();
        server.kernel.state(service, |state| state.reader = Some(reader));
        server.kernel.activate(reader, 1).unwrap();

        let above = server.kernel.context((), 4096);
        let registration =
            Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Count };
        let (wire, line) = (client.wire.clone(), server.line.clone());
        let (kernel, into) = (server.kernel.clone(), Arc::clone(&bytes));
        let random = Mutex::new(Random::new(seed));
        let handler = move |(): &mut (), activation: Activation| {
            while let Some(frame) = wire.arrived() {
                line.deliver(frame);
            }
            drain(&connection, &into);
            let sections = 1 + random.lock().unwrap().below(12) as u32;
            kernel.activate_in_section(activation.event, sections);
        };
        let event = server.kernel.register(above, registration, handler).unwrap();
        server.kernel.activate_in_section(event, 1);
        let done = world
            .run_until(Duration::from_secs(3600), |_| bytes.lock().unwrap().len() >= data.len());
        let received = bytes.lock().unwrap();
        assert!(done, "seed {seed}: {} bytes", received.len());
        assert!(*received == data, "seed {seed}: the bytes are not the same");
        preemptions += server.kernel.preemptions();
    }
    assert!(preemptions > 1000, "hardly ever interrupted: {preemptions}");
}
