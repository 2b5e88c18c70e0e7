//! Openings of peers that are not there: what they cost, and what they cost others.

use crate::common::Noting;
use crate::common::raw::{ACK, RST, SYN, Segment, segments};
use crate::common::server::{PORT, Server};
use reflex_event::{Priority, Trouble};
use reflex_testkit::Trace;
use std::net::Ipv4Addr;

/// A SYN in the name of a station that is not there, by its number.
fn forged(server: &Server, number: u32) -> Vec<u8> {
    let source = Ipv4Addr::from(0x0a00_0080 + number % 100);
    let port = 1024 + (number / 100) as u16;
    let syn = Segment::new(port, PORT, SYN, number, 0);
    syn.frame_from(source, server.host.mac, server.host.address)
}

/// RFC 4987: nothing is kept of openings beyond the backlog, and a peer that is there is served all the same.
#[test]
fn a_flood_of_openings_keeps_nobody_out() {
    let server = Server::with(|service| service.echo = true, |it| it.connections(16).backlog(8));
    for number in 0..2000 {
        let frame = forged(&server, number);
        server.host.exchange(&server.clock, &frame);
    }
    let counters = server.host.net.counters();
    assert_eq!((counters.half_open, counters.backlog_full), (8, 1992));
    for port in 4000..4008 {
        let ack = server.open(port);
        let answer = server.feed(&Segment::new(port, PORT, ACK, 1001, ack).with(b"here"));
        assert_eq!(answer[0].payload, b"here", "{port}");
    }
    let counters = server.host.net.counters();
    assert_eq!((counters.accepted, counters.cookies_redeemed, counters.limit_reached), (8, 8, 0));
    // There are no more places: nothing is promised that is not there.
    assert_eq!(server.feed(&Segment::new(5000, PORT, SYN, 1000, 0)), []);
    assert_eq!(server.host.net.counters().limit_reached, 1);
}

/// Without a backlog's worth of connections that are half open nobody believes an acknowledgement.
#[test]
fn an_acknowledgement_of_nothing_is_reset() {
    let server = Server::new(|_| {});
    for number in 0..100 {
        let segment = Segment::new(4000, PORT, ACK, 1001, number << 24);
        let answer = server.feed(&segment);
        assert_eq!((answer[0].flags, answer[0].sequence), (RST, number << 24));
    }
    assert_eq!(server.host.net.counters().accepted, 0);
}

/// A cookie keeps the size of the peer's segments; a peer of tiny ones has to try again.
#[test]
fn a_cookie_keeps_the_size_of_the_peers_segments() {
    let greet = |service: &mut Noting| service.greeting = vec![7; 4000];
    for (mss, sent) in [(1460, 1460), (1452, 1400), (1399, 1220), (600, 536)] {
        let server = Server::with(greet, |it| it.connections(8).backlog(1));
        server.host.exchange(&server.clock, &forged(&server, 0));
        let [high, low] = u16::to_be_bytes(mss);
        let syn = Segment::new(4000, PORT, SYN, 1000, 0).options(&[2, 4, high, low]);
        let answer = segments(
            &server.host.exchange(&server.clock, &syn.frame(server.host.mac, server.host.address)),
        );
        assert_eq!(server.host.net.counters().cookies_sent, 1, "{mss}");
        let ack = answer.last().unwrap().sequence.wrapping_add(1);
        let data = server.feed(&Segment::new(4000, PORT, ACK, 1001, ack));
        assert_eq!(data[0].payload.len(), sent, "{mss}");
    }
}

/// Each limit of a listener's is counted with it, and its owner is told, once until there was a place again.
#[test]
fn what_a_listener_refuses_is_counted_and_told() {
    let told = |server: &Server| server.host.kernel.troubles(server.service).len();
    let server = Server::with(|_| {}, |it| it.connections(4).backlog(2));
    for number in 0..10 {
        server.host.exchange(&server.clock, &forged(&server, number));
    }
    let counters = server.host.net.counters();
    assert_eq!((counters.backlog_full, told(&server)), (8, 1));
    server.open(4000);
    server.open(4001);
    for port in 5000..5010 {
        assert_eq!(server.feed(&Segment::new(port, PORT, SYN, 1000, 0)), []);
    }
    assert_eq!(server.host.net.counters().limit_reached, 10);
    // Each of the two had a place in the end, and so did none of the ten.
    assert_eq!(server.host.kernel.troubles(server.service), [Trouble::LimitReached; 3]);
}

/// Frames that wait for a port take half of what there is at most, and those of several leave as much as each
/// has: one that is not flooded finds room.
#[test]
fn a_flood_of_one_port_leaves_room_for_others() {
    let server = Server::with(|_| {}, |it| it.backlog(1000).priority(Priority::LOW));
    let trace = Trace::default();
    let other = server.host.kernel.context(Noting::new("other", &trace), 1 << 20);
    for port in [81, 82, 83] {
        let listening = server.host.net.listen(port).backlog(1000).priority(Priority::LOW);
        listening.serve(other).unwrap();
    }
    let urgent = server.host.kernel.context(Noting::new("urgent", &trace), 1 << 20);
    server.host.net.listen(99).priority(Priority::HIGH).serve(urgent).unwrap();
    // Nothing is served meanwhile but what is urgent.
    let segment = |port, number: u16| Segment::new(4000 + number, port, SYN, 1000, 0);
    let inject = |port, number| {
        let frame = segment(port, number).frame(server.host.mac, server.host.address);
        server.host.inject(&frame);
    };
    for port in [PORT, 81, 82] {
        (0..1000).for_each(|number| inject(port, number));
    }
    inject(83, 7);
    inject(99, 7);
    server.host.kernel.run_until_idle();
    let answers = segments(&server.host.sent(&server.clock));
    let answered = |port| answers.iter().filter(|answer| answer.source == port).count();
    assert_eq!((answered(83), answered(99)), (1, 1));
    assert!(answered(PORT) >= answered(81) && answered(81) >= answered(82) && answered(82) > 20);
    assert_eq!(server.host.net.counters().frames_exhausted, 0);
}
