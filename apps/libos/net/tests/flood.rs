//! Openings of peers that are not there: what they cost, and what they cost others.

use crate::common::Noting;
use crate::common::raw::{
    ACK, RST, SYN, Segment, arp, checksum, echo_request, introduce, ipv4, segments, udp,
};
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

/// What the link and the address stand on waits apart: no flood takes its room.
#[test]
fn a_flood_leaves_room_for_what_keeps_the_link() {
    let floods: [fn(&Server, u16) -> Vec<u8>; 3] = [
        |it, number| Segment::new(number, 9, ACK, 1, 1).frame(it.host.mac, it.host.address),
        |it, number| udp(it.host.mac, it.host.address, (number, 9), b"nobody"),
        |it, _| echo_request(it.host.mac, it.host.address, b"is it there?"),
    ];
    for (kind, flood) in floods.into_iter().enumerate() {
        let server = Server::new(|_| {});
        amid(&server, &introduce(server.host.address), |number| flood(&server, number));
        let sent = server.host.sent(&server.clock);
        let answers = sent.iter().filter(|frame| frame[12..14] == [8, 6] && frame[21] == 2);
        assert_eq!(answers.count(), 1, "flood {kind}: the station that asked is answered");
        assert!(server.host.net.counters().queue_full > 0, "flood {kind} is none");
    }
}

/// And each kind of it apart from the others.
#[test]
fn a_flood_of_what_keeps_the_link_leaves_room_for_its_other_kinds() {
    let questions = |server: &Server, number: u16| {
        let [high, low] = number.to_be_bytes();
        let station = ([2, 0, 0, 9, high, low], Ipv4Addr::new(10, 0, 0, 3 + low % 200));
        arp([0xff; 6], 1, station, ([0; 6], server.host.address))
    };
    let server = Server::new(|service| service.greeting = vec![7; 1460]);
    let syn = Segment::new(4000, PORT, SYN, 1000, 0).options(&[2, 4, 5, 180]);
    let number = server.feed(&syn)[0].sequence;
    let ack = Segment::new(4000, PORT, ACK, 1001, number.wrapping_add(1));
    let sent =
        server.host.exchange(&server.clock, &ack.frame(server.host.mac, server.host.address));
    let long = sent.iter().find(|frame| frame.len() > 1400).expect("the greeting");
    let told = too_long(&server, &long[14..42], 1000);
    amid(&server, &told, |number| questions(&server, number));
    let counters = server.host.net.counters();
    assert_eq!(counters.paths_learnt, 1, "{counters:?}");
    assert!(counters.queue_full > 0);
}

/// Injects a frame in the midst of a flood, of which nothing is served before all of it has come.
fn amid(server: &Server, frame: &[u8], flood: impl Fn(u16) -> Vec<u8>) {
    (1000..2000).for_each(|number| server.host.inject(&flood(number)));
    server.host.inject(frame);
    (2000..3000).for_each(|number| server.host.inject(&flood(number)));
    server.host.kernel.run_until_idle();
}

/// A router has dropped the packet that begins so: its next link carries no more than `mtu` bytes (RFC 1191, 4).
fn too_long(server: &Server, packet: &[u8], mtu: u16) -> Vec<u8> {
    let mut message = vec![3, 4, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend(packet);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv4(server.host.mac, Ipv4Addr::new(10, 0, 0, 254), server.host.address, 1, &message)
}
