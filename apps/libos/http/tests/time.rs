//! What takes too long.

use crate::common;
use common::{Buffer, responses, server};
use reflex_http::{Limits, Server, Session, Wants};

/// A session at second 100, after `input`, with `room` to send.
fn session_after(input: &[u8], room: usize) -> (Server, Session, Buffer) {
    let mut server = server();
    server.tick(100, None);
    let mut session = Session::default();
    session.open(&mut server);
    let mut out = Buffer { bytes: Vec::new(), room };
    session.input(input, &mut server, &mut out);
    (server, session, out)
}

/// Half a second may have passed when a period began, so it ends in the second after.
const PERIODS: Limits = Limits {
    idle: 60 + 101,
    head: 10 + 101,
    body: 30 + 101,
    stall: 30 + 101,
    reply: 60,
    progress: 1024,
    linger: 5 + 101,
    body_bytes: 0,
    large_heads: 0,
};

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    for input in ["", "\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let (mut server, mut session, mut out) = session_after(input.as_bytes(), usize::MAX);
        assert_eq!(session.deadline(), PERIODS.idle);
        let before = out.bytes.len();
        session.expire(0, &mut server, &mut out);
        assert_eq!((session.wants(), out.bytes.len()), (Wants::Close, before));
        assert_eq!(session.deadline(), PERIODS.linger);
        session.expire(0, &mut server, &mut out);
        assert_eq!((session.wants(), session.deadline()), (Wants::Abort, u32::MAX));
        assert_eq!(server.counters.timed_out, 2);
    }
}

#[test]
fn a_slow_head_gets_no_more_time_for_more_bytes() {
    let (mut server, mut session, mut out) = session_after(b"GET / HTTP/1.1\r\n", usize::MAX);
    assert_eq!(session.deadline(), PERIODS.head);
    for second in 101..110 {
        server.tick(second, None);
        session.input(b"X: y\r\n", &mut server, &mut out);
        assert_eq!(session.deadline(), PERIODS.head);
    }
    session.expire(0, &mut server, &mut out);
    assert_eq!(responses(&out.bytes, &["GET"])[0].status, 408);
    assert_eq!(session.wants(), Wants::Close);
    // What arrives now is dropped.
    assert_eq!(session.input(b"Host: h\r\n\r\n", &mut server, &mut out), 11);
    assert_eq!(responses(&out.bytes, &["GET"]).len(), 1);
}

#[test]
fn empty_lines_do_not_keep_a_connection_alive() {
    let (mut server, mut session, mut out) = session_after(b"\r\n", usize::MAX);
    server.tick(105, None);
    session.input(b"\r\n\r\n\r", &mut server, &mut out);
    assert_eq!(session.deadline(), 116);
    server.tick(110, None);
    session.input(b"\n\r", &mut server, &mut out);
    assert_eq!(session.deadline(), 116);
}

#[test]
fn a_slow_body_is_answered_with_408() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n123";
    let (mut server, mut session, mut out) = session_after(head, usize::MAX);
    assert_eq!(session.deadline(), PERIODS.body);
    session.expire(0, &mut server, &mut out);
    assert_eq!(responses(&out.bytes, &["POST"])[0].status, 408);
    assert_eq!(session.wants(), Wants::Close);
}

#[test]
fn a_peer_that_does_not_read_is_aborted() {
    let request = b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut server, mut session, mut out) = session_after(request, 100);
    assert_eq!((session.wants(), session.deadline()), (Wants::Room, PERIODS.stall));
    server.tick(120, None);
    session.output(&mut server, &mut out);
    assert_eq!(session.deadline(), PERIODS.stall);
    out.room = PERIODS.progress - 1;
    session.output(&mut server, &mut out);
    assert_eq!(session.deadline(), PERIODS.stall, "too little");
    out.room = 1;
    session.output(&mut server, &mut out);
    assert_eq!(session.deadline(), PERIODS.stall + 20);
    session.expire(0, &mut server, &mut out);
    assert_eq!(session.wants(), Wants::Abort);
    assert_eq!((server.counters.timed_out, server.counters.too_slow), (1, 1));
}

/// A byte now and then was progress enough once.
#[test]
fn a_peer_that_reads_byte_by_byte_does_not_hold_the_connection() {
    let request = b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut server, mut session, mut out) = session_after(request, 100);
    for second in 101..=PERIODS.stall {
        server.tick(second, None);
        out.room = 1;
        session.output(&mut server, &mut out);
    }
    assert_eq!((session.wants(), session.deadline()), (Wants::Room, PERIODS.stall));
    session.expire(0, &mut server, &mut out);
    assert_eq!(session.wants(), Wants::Abort);
}

#[test]
fn room_that_nobody_was_told_of_counts() {
    let request = b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut server, mut session, mut out) = session_after(request, 100);
    out.room = 1024;
    server.tick(PERIODS.stall, None);
    session.expire(0, &mut server, &mut out);
    assert_eq!((session.wants(), session.deadline()), (Wants::Room, PERIODS.stall + 31));
    assert_eq!((server.counters.timed_out, server.counters.too_slow), (0, 0));
}

/// What was written before the end is still on its way when the time to linger is over.
#[test]
fn the_end_of_a_response_is_waited_for_while_the_peer_takes_it() {
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let (mut server, mut session, mut out) = session_after(last.as_bytes(), usize::MAX);
    assert_eq!((session.wants(), session.deadline()), (Wants::Close, PERIODS.linger));
    let mut now = PERIODS.linger;
    for untaken in [5000, 3976, 2000, 976] {
        server.tick(now, None);
        session.expire(untaken, &mut server, &mut out);
        assert_eq!((session.wants(), session.deadline()), (Wants::Close, now + 31), "{untaken}");
        now += 31;
    }
    let mut stingy = session;
    server.tick(now, None);
    stingy.expire(1, &mut server, &mut out);
    assert_eq!((stingy.wants(), stingy.deadline()), (Wants::Abort, u32::MAX));
    assert_eq!((server.counters.timed_out, server.counters.too_slow), (1, 1));
    // Between requests, too.
    let next = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut server, mut session, mut out) = session_after(next, usize::MAX);
    session.expire(700, &mut server, &mut out);
    assert_eq!((session.wants(), session.deadline()), (Wants::Input, PERIODS.stall));
    // All of it was taken: the connection is silent now.
    session.expire(0, &mut server, &mut out);
    assert_eq!((session.wants(), session.deadline()), (Wants::Close, PERIODS.linger));
    assert_eq!((server.counters.timed_out, server.counters.too_slow), (1, 0));
}

#[test]
fn a_peer_that_has_ended_gets_its_answers_first() {
    let request = b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut server, mut session, mut out) = session_after(request, 100);
    session.end();
    assert_eq!(session.wants(), Wants::Room);
    out.room = usize::MAX;
    session.output(&mut server, &mut out);
    assert_eq!(session.wants(), Wants::Close);
    assert_eq!(responses(&out.bytes, &["GET"])[0].status, 200);
}

#[test]
fn large_heads_share_their_room_and_give_it_back() {
    let limits = Limits { large_heads: 1, ..Limits::default() };
    let mut server = Server::new(common::SITE, limits, None).expect("a good site");
    let mut sessions = [Session::default(), Session::default()];
    let mut out = Buffer::unlimited();
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(2000));
    for session in &mut sessions {
        session.open(&mut server);
    }
    assert_eq!(sessions[0].input(head.as_bytes(), &mut server, &mut out), head.len());
    // There is none for the second, and it is told so.
    sessions[1].input(head.as_bytes(), &mut server, &mut out);
    let refusal = responses(&out.bytes, &["GET"]).remove(0);
    assert_eq!((refusal.status, sessions[1].wants()), (503, Wants::Close));
    assert_eq!(server.counters.head_shortages, 1);
    // Also when it notices late.
    sessions[1].open(&mut server);
    sessions[1].input(&head.as_bytes()[..1000], &mut server, &mut out);
    sessions[1].input(&head.as_bytes()[1000..], &mut server, &mut out);
    assert_eq!(sessions[1].wants(), Wants::Close);
    assert_eq!(server.counters.head_shortages, 2);
    // Each way of ending with a head gives its room back.
    sessions[0].input(b"\r\n\r\n", &mut server, &mut out);
    sessions[1].open(&mut server);
    assert_eq!(sessions[1].input(head.as_bytes(), &mut server, &mut out), head.len());
    sessions[1].input(b"\r\n \r\n", &mut server, &mut out);
    for end in 0..3 {
        let session = &mut sessions[0];
        session.open(&mut server);
        assert_eq!(session.input(head.as_bytes(), &mut server, &mut out), head.len(), "{end}");
        match end {
            0 => session.expire(0, &mut server, &mut out),
            1 => session.reset(&mut server),
            _ => session.open(&mut server),
        }
    }
    assert_eq!(server.counters.head_shortages, 2);
}
