//! Openings of peers that are not there: what they cost, and what they cost others.

use crate::common::raw::{ACK, RST, SYN, Segment, segments};
use crate::common::server::{PORT, Server};
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
    let greet = |service: &mut crate::common::Noting| service.greeting = vec![7; 4000];
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
