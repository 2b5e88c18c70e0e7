//! Segments that are not the next in order, and what is due to each: RFC 9293, 3.10.7, and RFC 5961.

use crate::common::raw::{ACK, FIN, MAC, PEER, RST, SYN, Segment, ipv4};
use crate::common::server::{PORT, Server};
use crate::common::{Noting, pattern};
use std::net::Ipv4Addr;
use std::time::Duration;

const SECOND: Duration = Duration::from_millis(1100);

/// Whether these are one acknowledgement, and nothing else.
fn is_challenge(answers: &[Segment], sequence: u32, acknowledgement: u32) -> bool {
    let fields = |it: &Segment| (it.flags, it.sequence, it.acknowledgement, it.payload.len());
    answers.iter().map(fields).collect::<Vec<_>>() == [(ACK, sequence, acknowledgement, 0)]
}

/// A connection from port 4000 in each state that lasts, with its numbers: what we send next, and what is
/// expected.
fn synchronised() -> Vec<(&'static str, Server, u32, u32)> {
    let open = || {
        let server = Server::new(|service| service.stay = true);
        let ack = server.open(4000);
        (server, ack)
    };
    let close = |server: &Server| {
        server.state(|state| state.last.clone().unwrap().finish());
        server.host.kernel.run_until_idle();
        server.host.sent(&server.clock);
    };
    let (established, ack) = open();
    let mut all = vec![("ESTABLISHED", established, ack, 1001)];
    let (server, ack) = open();
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack));
    server.pass(Duration::from_millis(50));
    all.push(("CLOSE-WAIT", server, ack, 1002));
    let (server, ack) = open();
    close(&server);
    all.push(("FIN-WAIT-1", server, ack + 1, 1001));
    let (server, ack) = open();
    close(&server);
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack + 1));
    all.push(("FIN-WAIT-2", server, ack + 1, 1001));
    let (server, ack) = open();
    close(&server);
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack));
    server.pass(Duration::from_millis(50));
    all.push(("CLOSING", server, ack + 1, 1002));
    let (server, ack) = open();
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack));
    close(&server);
    all.push(("LAST-ACK", server, ack + 1, 1002));
    all
}

/// RFC 9293, 3.10.7.4, and RFC 5961, 4.2: a client that was started anew, and uses the same port, finds out
/// that the connection is still there, resets it, and connects.
#[test]
fn a_syn_on_a_connection_is_answered_whatever_its_number() {
    for (state, server, next, expected) in synchronised() {
        for sequence in [expected, expected + 100, expected - 1, expected + (1 << 30), 7] {
            for (flags, ack) in [(SYN, 0), (SYN | ACK, next)] {
                server.pass(SECOND);
                let answers = server.feed(&Segment::new(4000, PORT, flags, sequence, ack));
                assert!(is_challenge(&answers, next, expected), "{state} {sequence}: {answers:?}");
            }
        }
        // No more than one a second.
        let syn = Segment::new(4000, PORT, SYN, 77, 0);
        assert_eq!(server.feed(&syn), [], "{state}");
        assert_eq!(server.host.net.counters().challenges, 11, "{state}");
        // What the client does about the answer.
        server.feed(&Segment::new(4000, PORT, RST, expected, 0));
        let answers = server.feed(&syn);
        assert_eq!((answers[0].flags, answers[0].acknowledgement), (SYN | ACK, 78), "{state}");
    }
}

#[test]
fn a_syn_of_another_client_ends_a_handshake_that_was_left() {
    let server = Server::new(|_| {});
    let first = server.feed(&Segment::new(4000, PORT, SYN, 1000, 0)).remove(0);
    // The same once more: its answer is sent again, at once.
    let again = server.feed(&Segment::new(4000, PORT, SYN, 1000, 0));
    assert_eq!((again[0].flags, again[0].sequence), (SYN | ACK, first.sequence));
    let answers = server.feed(&Segment::new(4000, PORT, SYN, 5000, 0));
    assert!(is_challenge(&answers, first.sequence.wrapping_add(1), 1001), "{answers:?}");
    server.feed(&Segment::new(4000, PORT, RST, answers[0].acknowledgement, 0));
    let answers = server.feed(&Segment::new(4000, PORT, SYN, 5000, 0));
    assert_eq!((answers[0].flags, answers[0].acknowledgement), (SYN | ACK, 5001));
}

/// RFC 5961, 3.2.
#[test]
fn a_reset_elsewhere_in_the_window_is_answered_and_one_outside_is_not() {
    for (state, server, next, expected) in synchronised() {
        for (sequence, inside) in [
            (expected + 1, true),
            (expected + 4000, true),
            (expected - 1, false),
            (expected + 4096, false),
        ] {
            server.pass(SECOND);
            let answers = server.feed(&Segment::new(4000, PORT, RST, sequence, 0));
            let right =
                if inside { is_challenge(&answers, next, expected) } else { answers.is_empty() };
            assert!(right, "{state} {sequence}: {answers:?}");
        }
        assert_eq!(server.host.net.counters().resets_ignored, 4);
        // The peer has no such connection: it answers by an exact one.
        server.trace.take();
        server.feed(&Segment::new(4000, PORT, RST, expected, 0));
        let gone = server.feed(&Segment::new(4000, PORT, ACK, expected, next));
        assert_eq!(gone[0].flags, RST, "{state}");
    }
}

/// RFC 5961, 5.2, and RFC 9293, 3.10.7.4: text that was overtaken by a newer acknowledgement is heard, and
/// text with an acknowledgement that nobody can have sent is not.
#[test]
fn an_old_acknowledgement_does_not_lose_the_text_with_it() {
    let server = Server::new(|service| service.greeting = pattern(3000, 3));
    let ack = server.open(4000);
    server.feed(&Segment::new(4000, PORT, ACK, 1006, ack + 3000).with(b"67890"));
    let answers = server.feed(&Segment::new(4000, PORT, ACK, 1001, ack + 1000).with(b"12345"));
    assert_eq!(answers.last().map(|answer| answer.acknowledgement), Some(1011), "both have come");
    server.state(|state| assert_eq!(state.received[0], b"1234567890"));
    for (newer, text) in [(3001, "a"), (-9000, "b"), (1 << 30, "c")] {
        server.pass(SECOND);
        let acknowledgement = ack.wrapping_add_signed(newer);
        let segment = Segment::new(4000, PORT, ACK, 1011, acknowledgement).with(text.as_bytes());
        let answers = server.feed(&segment);
        assert!(is_challenge(&answers, ack + 3000, 1011), "{text}: {answers:?}");
    }
    server.state(|state| assert_eq!(state.received[0], b"1234567890"));
}

#[test]
fn a_segment_without_acknowledgement_is_answered_if_it_is_out_of_the_window() {
    for (state, server, next, expected) in synchronised() {
        for (sequence, inside) in [(expected, true), (expected + 5, true), (expected - 1, false)] {
            server.pass(SECOND);
            let answers = server.feed(&Segment::new(4000, PORT, 0, sequence, 0).with(b"?"));
            let right =
                if inside { answers.is_empty() } else { is_challenge(&answers, next, expected) };
            assert!(right, "{state} {sequence}: {answers:?}");
        }
    }
}

/// RFC 9293, 3.10.7.4: what one that has no room is told of its own bytes counts all the same.
#[test]
fn a_closed_window_hears_acknowledgements_with_text() {
    let server = Server::new(|service| (service.deaf, service.greeting) = (true, pattern(3000, 3)));
    let ack = server.open(4000);
    for number in 0..4 {
        let text = pattern(1024, number);
        server.feed(&Segment::new(4000, PORT, ACK, 1001 + 1024 * number as u32, ack).with(&text));
    }
    let answers = server.feed(&Segment::new(4000, PORT, ACK, 5097, ack + 3000).with(b"!"));
    let last = answers.last().unwrap();
    assert_eq!((last.acknowledgement, last.window), (5097, 0));
    assert_eq!(server.pass(Duration::from_secs(30)), [], "nothing is left to be sent again");
}

/// A connection with this receive buffer, and a peer that can scale windows.
fn scaled(buffer: usize, change: impl FnOnce(&mut Noting)) -> (Server, u32) {
    let server = Server::with(change, |listening| listening.buffers(buffer, 1000));
    // Window scale 7.
    let syn = Segment::new(4000, PORT, SYN, 1000, 0).options(&[3, 3, 7, 0]);
    let answer = server.feed(&syn).remove(0);
    let ack = answer.sequence.wrapping_add(1);
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack));
    (server, ack)
}

const SIZES: [usize; 8] = [1, 100, 4096, 65_535, 65_536, 70_000, 131_072, 200_000];

/// Whatever the size, and right after the handshake too, when the last window told was not a scaled one.
#[test]
fn no_more_text_is_taken_than_there_is_room_for() {
    for size in SIZES {
        let (server, ack) = scaled(size, |service| service.deaf = true);
        let text = pattern(size + 1400, 5);
        // One segment over the end first, then all in front of it.
        let over = size.saturating_sub(1000);
        let mut parts = vec![(over, (over + 1400).min(text.len()))];
        parts.extend((0..size).step_by(1400).map(|from| (from, (from + 1400).min(text.len()))));
        for (from, to) in parts {
            let segment = Segment::new(4000, PORT, ACK, 1001 + from as u32, ack);
            server.feed(&segment.with(&text[from..to]));
            server.pass(Duration::from_millis(50));
        }
        let connection = server.state(|state| state.last.clone().unwrap());
        assert_eq!(connection.receivable(), Ok(size), "{size}");
        let mut read = Vec::new();
        while connection.receive(|bytes| (read.extend_from_slice(bytes), bytes.len()).1) != Ok(0) {}
        assert!(read == text[..size], "{size}: other bytes than were sent");
    }
}

#[test]
fn a_fin_beyond_the_room_there_is_waits_for_the_text_before_it() {
    for size in SIZES {
        let (server, ack) = scaled(size, |service| (service.deaf, service.stay) = (true, true));
        let text = pattern(size + 100, 5);
        let from = size.saturating_sub(1000);
        for at in (0..from).step_by(1400) {
            let part = &text[at..(at + 1400).min(from)];
            server.feed(&Segment::new(4000, PORT, ACK, 1001 + at as u32, ack).with(part));
            server.pass(Duration::from_millis(50));
        }
        let last = Segment::new(4000, PORT, ACK | FIN, 1001 + from as u32, ack).with(&text[from..]);
        server.feed(&last);
        let connection = server.state(|state| state.last.clone().unwrap());
        assert_eq!(connection.receivable(), Ok(size));
        assert!(!server.trace.take().contains(&"s closed".to_string()), "{size}: there is more");
        // It is read, and the peer sends again what was not acknowledged.
        let mut read = Vec::new();
        server.state(|state| state.deaf = false);
        for _ in 0..200 {
            while connection.receive(|bytes| (read.extend_from_slice(bytes), bytes.len()).1)
                != Ok(0)
            {}
            server.host.kernel.run_until_idle();
            if read.len() == text.len() {
                break;
            }
            let rest = &text[read.len()..];
            let flags = if rest.len() > size { ACK } else { ACK | FIN };
            let rest = &rest[..rest.len().min(size)];
            server.state(|state| state.deaf = true);
            server.feed(&Segment::new(4000, PORT, flags, 1001 + read.len() as u32, ack).with(rest));
        }
        assert!(read == text, "{size}");
        assert!(server.trace.take().contains(&"s closed".to_string()), "{size}");
    }
}

/// RFC 9293, 3.10.7.4: in CLOSE-WAIT and after, text should not occur, and is ignored.
#[test]
fn text_behind_a_fin_is_not_heard() {
    let server = Server::new(|service| service.stay = true);
    let ack = server.open(4000);
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack).with(b"all"));
    server.feed(&Segment::new(4000, PORT, ACK, 1005, ack).with(b"and more"));
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1004, ack).with(b"-and more"));
    assert_eq!(server.trace.take(), ["s accepted", "s received", "s closed"]);
    server.state(|state| assert_eq!(state.received[0], b"all"));
}

/// RFC 1122, 3.2.2.1.
#[test]
fn a_protocol_that_nobody_speaks_is_unreachable() {
    let server = Server::new(|_| {});
    let (mac, own) = (server.host.mac, server.host.address);
    let packet = ipv4(mac, PEER, own, 132, b"anybody there?");
    let sent = server.host.exchange(&server.clock, &packet);
    let [answer] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((answer[23], &answer[34..36], &answer[..6]), (1, &[3, 2][..], &MAC[..]));
    // The packet comes with it, the checksum of its header aside.
    assert_eq!((&answer[42..52], &answer[54..]), (&packet[14..24], &packet[26..]));
    // Not to everybody.
    let broadcast = ipv4([0xff; 6], PEER, Ipv4Addr::BROADCAST, 132, b"anybody there?");
    assert!(server.host.exchange(&server.clock, &broadcast).is_empty());
}
