//! One connection at a time, and what may happen to it: a peer made of hand-made segments.

use crate::common;
use common::raw::{ACK, FIN, PEER, PSH, RST, SYN, Segment, introduce, segments};
use common::server::{PORT, Server};
use common::{Host, Noting, pattern};
use reflex_event::{Context, Instant};
use reflex_net::Error;
use reflex_testkit::{Clock, Trace};
use std::net::SocketAddrV4;
use std::time::Duration;

#[test]
fn handlers_are_called_in_order_and_the_answer_carries_the_acknowledgement() {
    let server = Server::new(|service| service.echo = true);
    let ack = server.open(4000);
    let answer = server.feed(&Segment::new(4000, PORT, ACK | PSH, 1001, ack).with(b"hello"));
    assert_eq!(answer.len(), 1, "one segment carries data and acknowledgement: {answer:?}");
    assert_eq!((answer[0].acknowledgement, &answer[0].payload[..]), (1006, &b"hello"[..]));
    let ack = ack + 5;
    let answer = server.feed(&Segment::new(4000, PORT, ACK | FIN, 1006, ack));
    let last = answer.last().unwrap();
    assert_eq!((last.flags & FIN, last.acknowledgement), (FIN, 1007));
    server.feed(&Segment::new(4000, PORT, ACK, 1007, ack + 1));
    assert_eq!(server.trace.take(), ["s accepted", "s received", "s closed", "s ended"]);
    let connection = server.state(|state| state.last.clone().unwrap());
    assert_eq!(connection.send(b"x"), Err(Error::Closed));
    assert_eq!(connection.peer(), Err(Error::Closed));
    assert!(!connection.is_open());
}

#[test]
fn data_and_fin_that_come_with_the_handshake_are_told_in_order() {
    let server = Server::new(|_| {});
    let answer = server.feed(&Segment::new(4000, PORT, SYN, 1000, 0));
    let ack = answer[0].sequence.wrapping_add(1);
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack).with(b"bye"));
    assert_eq!(server.trace.take(), ["s accepted", "s received", "s closed"]);
    server.state(|state| assert_eq!(state.received[0], b"bye"));
}

#[test]
fn closed_ports_are_answered_with_a_reset_and_resets_are_not() {
    let server = Server::new(|_| {});
    let answer = server.feed(&Segment::new(4000, 81, SYN, 5, 0));
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0].flags, answer[0].acknowledgement), (RST | ACK, 6));
    let answer = server.feed(&Segment::new(4000, PORT, ACK, 5, 77));
    assert_eq!((answer[0].flags, answer[0].sequence), (RST, 77));
    assert_eq!(server.feed(&Segment::new(4000, 81, RST, 5, 0)), []);
    assert_eq!(server.host.net.counters().closed_port, 3);
}

#[test]
fn only_a_reset_with_the_exact_number_ends_a_connection() {
    let server = Server::new(|_| {});
    let ack = server.open(4000);
    server.trace.take();
    // Unacknowledged data moves the expected number on, though no ACK has said so yet.
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack).with(b"1234"));
    // A number that is expected later may be that of a peer of which something was lost: it is asked.
    let mut answers = Vec::new();
    for sequence in [1000, 1001, 1004, 1006, 1100, 2000, 0, u32::MAX] {
        answers.extend(server.feed(&Segment::new(4000, PORT, RST, sequence, 0)));
    }
    let challenges: Vec<_> =
        answers.iter().map(|it| (it.flags, it.sequence, it.acknowledgement)).collect();
    assert_eq!(challenges, [(ACK, ack, 1005)], "one a second");
    assert_eq!(server.host.net.counters().resets_ignored, 8);
    assert_eq!(server.trace.take(), ["s received"]);
    server.feed(&Segment::new(4000, PORT, RST, 1005, 0));
    assert_eq!(server.trace.take(), ["s failed: the peer reset the connection"]);
}

#[test]
fn a_peer_that_is_never_read_from_closes_its_own_window_only() {
    let server = Server::new(|service| service.deaf = true);
    let deaf = server.open(4000);
    let mut sequence = 1001u32;
    let mut window = u16::MAX;
    for _ in 0..10 {
        let data = pattern(1000, 1);
        let segment = Segment::new(4000, PORT, ACK, sequence, deaf).with(&data);
        let answers = server.feed(&segment);
        let answers = [answers, server.pass(Duration::from_millis(50))].concat();
        if let Some(answer) = answers.last() {
            sequence = answer.acknowledgement;
            window = answer.window;
        }
    }
    assert_eq!((sequence, window), (1001 + 4096, 0), "the whole buffer is full, and no more");
    server.state(|state| (state.deaf, state.echo) = (false, true));
    let other = server.open(4001);
    let answer = server.feed(&Segment::new(4001, PORT, ACK, 1001, other).with(b"hi"));
    assert_eq!(answer[0].payload, b"hi");
}

#[test]
fn a_send_that_does_not_fit_goes_on_when_there_is_room() {
    let data = pattern(30_000, 2);
    let server = Server::new(|service| {
        service.greeting = data.clone();
        service.close_after_greeting = true;
    });
    let answer = server.feed(&Segment::new(4000, PORT, SYN, 1000, 0));
    let mut ack = answer[0].sequence.wrapping_add(1);
    let mut answers = server.feed(&Segment::new(4000, PORT, ACK, 1001, ack));
    let mut received = Vec::new();
    let mut finished = false;
    while !finished {
        assert!(!answers.is_empty(), "{} bytes, then nothing", received.len());
        for answer in answers {
            assert_eq!(answer.sequence, ack);
            received.extend_from_slice(&answer.payload);
            ack = ack.wrapping_add(answer.payload.len() as u32);
            finished |= answer.flags & FIN != 0;
        }
        let last = ack + u32::from(finished);
        answers = server.feed(&Segment::new(4000, PORT, ACK, 1001, last));
    }
    assert!(received == data);
    assert!(server.trace.take().iter().filter(|line| *line == "s sent").count() >= 2);
}

#[test]
fn half_open_connections_are_given_up_and_their_places_reused() {
    let server = Server::new(|_| {});
    for port in 4000..4003 {
        assert_eq!(server.feed(&Segment::new(port, PORT, SYN, 1000, 0)).len(), 1);
    }
    // The last of four places is for a peer that is there: the others' openings are not kept.
    assert_eq!(server.feed(&Segment::new(4004, PORT, SYN, 1000, 0)).len(), 1);
    assert_eq!(server.host.net.counters().cookies_sent, 1);
    let answers = server.pass(Duration::from_secs(12));
    let again = answers.iter().filter(|answer| answer.flags == SYN | ACK).count();
    assert!((6..=12).contains(&again), "SYN-ACKs are repeated: {again}");
    let counters = server.host.net.counters();
    assert_eq!((counters.half_open, counters.half_open_failed), (0, 3));
    assert_eq!(server.trace.take(), [""; 0], "the application never heard of them");
    server.open(4005);
}

#[test]
fn a_reset_while_half_open_frees_the_place() {
    let server = Server::new(|_| {});
    for port in 4000..4020 {
        server.feed(&Segment::new(port, PORT, SYN, 1000, 0));
        server.feed(&Segment::new(port, PORT, RST, 1001, 0));
    }
    let counters = server.host.net.counters();
    assert_eq!((counters.half_open_failed, counters.limit_reached), (20, 0));
    server.open(4100);
}

/// Opens, and has the server close first: it is in TIME-WAIT afterwards. Returns the numbers
/// of the next segments of both sides.
fn into_time_wait(server: &Server, port: u16) -> (u32, u32) {
    let ack = server.open(port);
    server.state(|state| state.last.clone().unwrap().finish());
    server.host.kernel.run_until_idle();
    let fin = segments(&server.host.sent(&server.clock));
    assert_eq!((fin.len(), fin[0].flags & FIN), (1, FIN));
    let answer = server.feed(&Segment::new(port, PORT, ACK | FIN, 1001, ack + 1));
    assert_eq!(answer.last().map(|answer| answer.acknowledgement), Some(1002));
    (1002, ack + 1)
}

#[test]
fn time_wait_answers_a_repeated_fin_and_ends_after_ten_seconds() {
    let server = Server::new(|_| {});
    let (sequence, ack) = into_time_wait(&server, 4000);
    assert_eq!(server.trace.take(), ["s accepted", "s closed", "s ended"]);
    let answer = server.feed(&Segment::new(4000, PORT, ACK | FIN, sequence - 1, ack));
    assert_eq!(answer[0].acknowledgement, sequence);
    server.pass(Duration::from_secs(11));
    let answer = server.feed(&Segment::new(4000, PORT, ACK | FIN, sequence - 1, ack));
    assert_eq!(answer[0].flags & RST, RST, "nobody remembers the connection");
}

#[test]
fn a_new_opening_replaces_time_wait_and_an_old_one_does_not() {
    let server = Server::new(|_| {});
    let (sequence, _) = into_time_wait(&server, 4000);
    let answer = server.feed(&Segment::new(4000, PORT, SYN, sequence - 500, 0));
    assert!(answer.iter().all(|answer| answer.flags == ACK), "{answer:?}");
    let answer = server.feed(&Segment::new(4000, PORT, SYN, sequence + 500, 0));
    let flags = (answer[0].flags, answer[0].acknowledgement);
    assert_eq!(flags, (SYN | ACK, sequence + 501));
}

#[test]
fn the_oldest_time_wait_makes_room_when_all_places_are_taken() {
    let server = Server::new(|_| {});
    for port in 4000..4010 {
        into_time_wait(&server, port);
    }
    let counters = server.host.net.counters();
    assert_eq!((counters.accepted, counters.time_wait_recycled), (10, 6));
    // 4006 to 4009 are remembered, 4005 is not.
    let fin = |port| Segment::new(port, PORT, ACK | FIN, 1001, 0);
    assert_eq!(server.feed(&fin(4005))[0].flags & RST, RST);
    assert!(server.feed(&fin(4006)).iter().all(|answer| answer.flags & RST == 0));
}

#[test]
fn unanswered_data_ends_the_connection_and_an_idle_one_stays() {
    let server = Server::new(|_| {});
    let ack = server.open(4000);
    server.pass(Duration::from_secs(4000));
    server.trace.take();
    let connection = server.state(|state| state.last.clone().unwrap());
    assert_eq!(connection.send(b"are you there?"), Ok(14));
    server.host.kernel.run_until_idle();
    let mut sent = Vec::new();
    for _ in 0..31 {
        // The peer is there, and asks for our address now and then; it just does not answer.
        server.host.inject(&introduce(server.host.address));
        server.host.kernel.run_until_idle();
        sent.extend(server.pass(Duration::from_secs(30)));
    }
    assert!(sent.iter().filter(|segment| segment.sequence == ack).count() >= 5);
    assert_eq!(sent.last().unwrap().flags & RST, RST);
    assert_eq!(server.trace.take(), ["s failed: the peer does not answer"]);
}

#[test]
fn an_abort_resets_and_frees_the_place() {
    let server = Server::new(|_| {});
    for port in 4000..4010 {
        let ack = server.open(port);
        server.state(|state| state.last.clone().unwrap().abort());
        server.host.kernel.run_until_idle();
        let sent = segments(&server.host.sent(&server.clock));
        assert_eq!((sent[0].flags & RST, sent[0].sequence), (RST, ack));
    }
    assert_eq!(server.host.net.counters().ended, 10);
}

#[test]
fn both_sides_that_retransmit_old_bytes_at_the_same_time_hear_each_other() {
    let server = Server::new(|service| service.greeting = pattern(6000, 3));
    let ack = server.open(4000);
    // The peer has everything; its acknowledgements are lost, and so are ours of its bytes.
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack).with(b"12345678"));
    server.pass(Duration::from_secs(3));
    // It repeats old bytes, from a number set back, and acknowledges all of ours with them.
    let old = Segment::new(4000, PORT, ACK, 1001, ack + 6000).with(b"1234");
    let answer = server.feed(&old);
    assert_eq!(answer.last().map(|answer| answer.acknowledgement), Some(1009));
    let repeated = server.pass(Duration::from_secs(100));
    assert_eq!(repeated, [], "the acknowledgement was not heard");
}

#[test]
fn outgoing_connections_are_refused_time_out_and_succeed() {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 9);
    let trace = Trace::default();
    let service: Context<Noting> = host.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = host.net.connector().connections(2).serve(service).unwrap();
    assert_eq!(connector.connect(SocketAddrV4::new(PEER, 0)), Err(Error::BadDestination));
    host.exchange(&clock, &introduce(host.address));

    let connection = connector.connect(SocketAddrV4::new(PEER, 9)).unwrap();
    host.kernel.run_until_idle();
    let syn = segments(&host.sent(&clock)).remove(0);
    assert_eq!((syn.flags, syn.target), (SYN, 9));
    assert!(syn.source >= 49152);
    assert_eq!(connection.peer(), Ok(SocketAddrV4::new(PEER, 9)));
    let reset = Segment::new(9, syn.source, RST | ACK, 0, syn.sequence + 1);
    host.exchange(&clock, &reset.frame(host.mac, host.address));
    assert_eq!(trace.take(), ["c failed: the peer refused the connection"]);

    connector.connect(SocketAddrV4::new(PEER, 9)).unwrap();
    host.kernel.run_until_idle();
    host.pass(&clock, Duration::from_secs(25));
    assert_eq!(trace.take(), ["c failed: the peer does not answer"]);

    connector.connect(SocketAddrV4::new(PEER, 9)).unwrap();
    host.kernel.run_until_idle();
    let syn = segments(&host.sent(&clock)).remove(0);
    let answer = Segment::new(9, syn.source, SYN | ACK, 500, syn.sequence + 1);
    host.exchange(&clock, &answer.frame(host.mac, host.address));
    assert_eq!(trace.take(), ["c connected"]);
    connector.connect(SocketAddrV4::new(PEER, 9)).unwrap();
    assert_eq!(connector.connect(SocketAddrV4::new(PEER, 9)), Err(Error::LimitReached));
}

#[test]
fn a_new_connection_does_not_show_what_the_last_one_left() {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 9);
    let trace = Trace::default();
    let deaf = Noting { deaf: true, ..Noting::new("c", &trace) };
    let service = host.kernel.context(deaf, 1 << 20);
    let connector = host.net.connector().connections(1).serve(service).unwrap();
    host.exchange(&clock, &introduce(host.address));
    let peer = SocketAddrV4::new(PEER, 9);
    let open = || {
        let connection = connector.connect(peer).unwrap();
        assert_eq!(connection.receivable(), Ok(0));
        assert_eq!(connection.sendable(), Ok(0));
        assert_eq!(connection.receive(|_| panic!("there is nothing")), Ok(0));
        assert_eq!(connection.send(b"too early"), Ok(0));
        host.kernel.run_until_idle();
        let syn = segments(&host.sent(&clock)).remove(0);
        let ack = syn.sequence.wrapping_add(1);
        let answer = Segment::new(9, syn.source, SYN | ACK, 500, ack);
        host.exchange(&clock, &answer.frame(host.mac, host.address));
        assert_eq!(trace.take(), ["c connected", "c sent"], "there is room now");
        (connection, syn.source, ack)
    };
    let (first, port, ack) = open();
    let unread = Segment::new(9, port, ACK, 501, ack).with(b"never read");
    host.exchange(&clock, &unread.frame(host.mac, host.address));
    assert_eq!((first.receivable(), trace.take()), (Ok(10), vec!["c received".to_string()]));
    first.abort();
    host.kernel.run_until_idle();
    host.sent(&clock);
    assert_eq!((first.receivable(), trace.take()), (Err(Error::Closed), vec!["c ended".into()]));
    let (second, ..) = open();
    assert_eq!((second.slot(), second.receivable()), (first.slot(), Ok(0)));
}

/// What is queued counts as unacknowledged until the peer says that it has it, closed or not.
#[test]
fn what_the_peer_has_not_acknowledged_is_told() {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 9);
    let trace = Trace::default();
    let service = host.kernel.context(Noting::new("c", &trace), 1 << 20);
    let connector = host.net.connector().connections(1).serve(service).unwrap();
    host.exchange(&clock, &introduce(host.address));
    let connection = connector.connect(SocketAddrV4::new(PEER, 9)).unwrap();
    assert_eq!(connection.unacknowledged(), Ok(None), "nothing is known of it yet");
    host.kernel.run_until_idle();
    let syn = segments(&host.sent(&clock)).remove(0);
    let from = syn.sequence.wrapping_add(1);
    let acknowledge = |taken: u32| {
        let ack = Segment::new(9, syn.source, ACK, 501, from.wrapping_add(taken));
        host.exchange(&clock, &ack.frame(host.mac, host.address));
    };
    let answer = Segment::new(9, syn.source, SYN | ACK, 500, from);
    host.exchange(&clock, &answer.frame(host.mac, host.address));
    assert_eq!(connection.unacknowledged(), Ok(Some(0)));
    assert_eq!(connection.send(&[7; 1000]), Ok(1000));
    host.kernel.run_until_idle();
    host.sent(&clock);
    assert_eq!(connection.unacknowledged(), Ok(Some(1000)), "sent is not taken");
    acknowledge(300);
    assert_eq!(connection.unacknowledged(), Ok(Some(700)));
    connection.finish();
    host.kernel.run_until_idle();
    host.sent(&clock);
    assert_eq!(connection.unacknowledged(), Ok(Some(700)));
    acknowledge(1000);
    assert_eq!(connection.unacknowledged(), Ok(Some(0)));
    connection.abort();
    host.kernel.run_until_idle();
    assert_eq!(connection.unacknowledged(), Err(Error::Closed));
}
