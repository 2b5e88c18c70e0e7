//! Legitimate neighbours: routers beside the prefix, routers that move, virtual routers, stations of
//! other subnets and without an address; and those that only pretend to be one.

use crate::common;
use common::Host;
use common::raw::{
    ACK, MAC, PEER, SYN, Segment, arp, checksum, echo_request, introduce, ipv4, segments, udp,
};
use reflex_event::Instant;
use reflex_net::{Address, Datagram, UdpService, UdpSocket};
use reflex_testkit::{Clock, SimKernel};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const EVERYONE: [u8; 6] = [0xff; 6];
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const OLD: [u8; 6] = [2, 9, 9, 9, 9, 1];
const NEW: [u8; 6] = [2, 9, 9, 9, 9, 2];

struct Bench {
    clock: Clock,
    host: Host,
    socket: UdpSocket<SimKernel>,
}

struct Deaf;

impl UdpService<SimKernel> for Deaf {
    fn datagram(&mut self, _: &UdpSocket<SimKernel>, _: Datagram<'_>) {}
}

impl Bench {
    fn new(prefix: u8, gateway: Option<Ipv4Addr>) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::with(&clock, 1, 7, 256, |config| {
            let address = Ipv4Addr::new(10, 0, 0, 1);
            config.address = Address::Static { address, prefix, gateway };
        });
        let context = host.kernel.context(Deaf, 1 << 20);
        let socket = host.net.udp(9).serve(context).unwrap();
        host.sent(&clock);
        Self { clock, host, socket }
    }

    fn feed(&self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.host.exchange(&self.clock, frame)
    }

    /// What sending a datagram to `to` makes the host send.
    fn send(&self, to: Ipv4Addr) -> Vec<Vec<u8>> {
        self.socket.send_to(b"x", SocketAddrV4::new(to, 9)).unwrap();
        self.host.kernel.run_until_idle();
        self.host.sent(&self.clock)
    }

    /// The hardware address that a datagram to `to` goes to at once.
    fn next(&self, to: Ipv4Addr) -> Option<[u8; 6]> {
        let sent = self.send(to);
        let datagram = sent.iter().find(|frame| frame[12..14] == [8, 0])?;
        Some(datagram[..6].try_into().unwrap())
    }

    fn question(&self, to: [u8; 6], target: Ipv4Addr) -> Vec<u8> {
        arp(to, 1, (self.host.mac, self.host.address), ([0; 6], target))
    }

    /// A reply to us.
    fn reply(&self, mac: [u8; 6], of: Ipv4Addr) -> Vec<u8> {
        arp(self.host.mac, 2, (mac, of), (self.host.mac, self.host.address))
    }

    /// With a gateway of which the hardware address is known, and has been for a while.
    fn with_router() -> Self {
        let bench = Self::new(24, Some(GATEWAY));
        bench.feed(&bench.reply(OLD, GATEWAY));
        bench.host.pass(&bench.clock, Duration::from_secs(5));
        assert_eq!(bench.next(FAR), Some(OLD));
        bench
    }
}

/// A gratuitous ARP (RFC 5227, 3; RFC 5944, 4.6): a request or a reply, each in the ways that
/// implementations fill in the target.
fn announcements(mac: [u8; 6], of: Ipv4Addr) -> Vec<Vec<u8>> {
    vec![
        arp(EVERYONE, 1, (mac, of), ([0; 6], of)),
        arp(EVERYONE, 1, (mac, of), (EVERYONE, of)),
        arp(EVERYONE, 2, (mac, of), (EVERYONE, of)),
        arp(EVERYONE, 2, (mac, of), (mac, of)),
        arp(EVERYONE, 2, (mac, of), ([0; 6], NOBODY)),
    ]
}

/// Google Compute Engine and Hetzner: an address of /32 and a router that no prefix covers.
#[test]
fn a_router_is_on_the_link_whatever_the_prefix() {
    for (prefix, gateway) in [(32, GATEWAY), (24, Ipv4Addr::new(10, 99, 0, 1)), (31, GATEWAY)] {
        let bench = Bench::new(prefix, Some(gateway));
        let what = format!("/{prefix} with {gateway}");
        // A SYN from beyond the router, which asks for us first.
        let trace = reflex_testkit::Trace::default();
        let service = bench.host.kernel.context(common::Noting::echo("s", &trace), 1 << 20);
        bench.host.net.listen(80).serve(service).unwrap();
        let question = arp(EVERYONE, 1, (OLD, gateway), ([0; 6], bench.host.address));
        let sent = bench.feed(&question);
        let own = (bench.host.mac, bench.host.address);
        assert_eq!(sent, [arp(OLD, 2, own, (OLD, gateway))], "{what}");
        let syn = Segment::new(4000, 80, SYN, 1, 0);
        let sent = bench.feed(&syn.frame_from(FAR, bench.host.mac, bench.host.address));
        assert_eq!(sent[0][..6], OLD, "{what}");
        assert_eq!(segments(&sent)[0].flags, SYN | ACK, "{what}");
        // And one that is asked: it is believed, and the datagram goes.
        let bench = Bench::new(prefix, Some(gateway));
        bench.host.pass(&bench.clock, Duration::from_secs(10));
        assert_eq!(bench.send(FAR), [bench.question(EVERYONE, gateway)], "{what}");
        let sent = bench.feed(&bench.reply(OLD, gateway));
        assert_eq!((sent.len(), &sent[0][..6]), (1, &OLD[..]), "{what}");
        // With /32 there is nobody else: what is near by number goes to the router, too.
        let near = if prefix == 32 { Some(OLD) } else { None };
        assert_eq!(bench.next(Ipv4Addr::new(10, 0, 0, 0)), near, "{what}");
    }
}

/// Two subnets on one wire: a station that asks for our address is answered where it is, and packets to it
/// take the route they have.
#[test]
fn a_station_of_another_subnet_is_answered_and_not_learnt() {
    for gateway in [None, Some(GATEWAY)] {
        let bench = Bench::new(24, gateway);
        let own = (bench.host.mac, bench.host.address);
        let stranger = (MAC, Ipv4Addr::new(172, 16, 0, 5));
        let sent = bench.feed(&arp(EVERYONE, 1, stranger, ([0; 6], own.1)));
        assert_eq!(sent, [arp(MAC, 2, own, stranger)]);
        assert_eq!(bench.next(stranger.1), None);
        bench.feed(&bench.reply(OLD, GATEWAY));
        assert_eq!(
            bench.next(stranger.1),
            gateway.map(|_| OLD),
            "by the router, not to the station"
        );
    }
}

/// RFC 3927, 2.6.2; but what the router stands for (169.254.169.254 of clouds) is behind it.
#[test]
fn link_local_stations_are_on_the_link_once_they_speak() {
    let zeroconf = Ipv4Addr::new(169, 254, 7, 7);
    let bench = Bench::with_router();
    assert_eq!(bench.next(zeroconf), Some(OLD));
    let sent = bench.feed(&arp(EVERYONE, 1, (MAC, zeroconf), ([0; 6], bench.host.address)));
    assert_eq!(sent.len(), 1);
    assert_eq!(bench.next(zeroconf), Some(MAC));
    let bench = Bench::new(24, None);
    assert_eq!(bench.send(zeroconf), [bench.question(EVERYONE, zeroconf)]);
}

/// RFC 5227, 2.1.1: a station that probes for an address must hear that it is taken.
#[test]
fn a_probe_for_our_address_is_answered_and_teaches_nothing() {
    let bench = Bench::new(24, Some(GATEWAY));
    let own = (bench.host.mac, bench.host.address);
    let sent = bench.feed(&arp(EVERYONE, 1, (MAC, NOBODY), ([0; 6], own.1)));
    assert_eq!(sent, [arp(MAC, 2, own, (MAC, NOBODY))]);
    assert!(bench.feed(&arp(EVERYONE, 1, (MAC, NOBODY), ([0; 6], PEER))).is_empty());
    assert!(bench.feed(&arp(EVERYONE, 2, (MAC, NOBODY), ([0; 6], own.1))).is_empty());
}

/// RFC 826: of a packet only its own fields count. VRRP routers send from their own address for the
/// virtual one (RFC 5798, 8.1.2 has them use the virtual one, and not all do), bonded adapters from
/// any of theirs, proxies from theirs.
#[test]
fn the_frames_own_sender_does_not_matter() {
    let bench = Bench::new(24, Some(GATEWAY));
    bench.send(FAR);
    let virtual_mac = [0, 0, 0x5e, 0, 1, 7];
    let mut reply = bench.reply(virtual_mac, GATEWAY);
    reply[6..12].copy_from_slice(&OLD);
    let sent = bench.feed(&reply);
    let udp = sent.iter().find(|frame| frame[12..14] == [8, 0]).unwrap();
    assert_eq!(udp[..6], virtual_mac);
    // At its first use it is confirmed, at that address, and known when it says the same.
    assert!(sent.contains(&bench.question(virtual_mac, GATEWAY)));
    bench.feed(&reply);
    bench.host.pass(&bench.clock, Duration::from_secs(30));
    assert_eq!(bench.send(FAR).len(), 1);
    let mut question = introduce(bench.host.address);
    question[6..12].copy_from_slice(&OLD);
    let sent = bench.feed(&question);
    assert_eq!(sent, [arp(MAC, 2, (bench.host.mac, bench.host.address), (MAC, PEER))]);
}

#[test]
fn a_router_that_moved_is_believed_at_once() {
    for (way, announcement) in announcements(NEW, GATEWAY).iter().enumerate() {
        let bench = Bench::with_router();
        // What was there before is asked whether it still is, and is not.
        assert_eq!(bench.feed(announcement), [bench.question(OLD, GATEWAY)], "{way}");
        let sent = bench.send(FAR);
        // Confirmed at the first use.
        let udp = sent.iter().find(|frame| frame[12..14] == [8, 0]).unwrap();
        assert_eq!(udp[..6], NEW, "{way}");
        assert!(sent.contains(&bench.question(NEW, GATEWAY)), "{way}");
        bench.feed(&bench.reply(NEW, GATEWAY));
        // Said again, as it is.
        assert!(bench.feed(announcement).is_empty(), "{way}");
        bench.host.pass(&bench.clock, Duration::from_secs(30));
        assert_eq!(bench.send(FAR).len(), 1, "{way}: known and confirmed");
        let counters = bench.host.net.counters();
        assert_eq!((counters.neighbours_moved, counters.moves_disputed), (1, 0), "{way}");
    }
}

/// An established connection follows, without waiting for a time-out.
#[test]
fn connections_follow_a_router_that_moved() {
    let bench = Bench::with_router();
    let trace = reflex_testkit::Trace::default();
    let service = bench.host.kernel.context(common::Noting::echo("s", &trace), 1 << 20);
    bench.host.net.listen(80).serve(service).unwrap();
    let own = bench.host.address;
    let feed = |segment: &Segment| bench.feed(&segment.frame_from(FAR, bench.host.mac, own));
    let sent = feed(&Segment::new(4000, 80, SYN, 1000, 0));
    let ack = segments(&sent)[0].sequence + 1;
    feed(&Segment::new(4000, 80, ACK, 1001, ack));
    let sent = feed(&Segment::new(4000, 80, ACK, 1001, ack).with(b"one"));
    assert_eq!((&sent[0][..6], &segments(&sent)[0].payload[..]), (&OLD[..], &b"one"[..]));
    bench.feed(&announcements(NEW, GATEWAY)[0]);
    let sent = feed(&Segment::new(4000, 80, ACK, 1004, ack + 3).with(b"two"));
    let echo = sent.iter().find(|frame| frame[12..14] == [8, 0]).unwrap();
    assert_eq!(echo[..6], NEW);
}

/// A bonded adapter that balances its clients tells each of them, unasked, in a reply.
#[test]
fn a_reply_nobody_asked_for_moves_a_neighbour_too() {
    let bench = Bench::with_router();
    assert_eq!(bench.feed(&bench.reply(NEW, GATEWAY)), [bench.question(OLD, GATEWAY)]);
    assert_eq!(bench.next(FAR), Some(NEW));
}

#[test]
fn one_that_only_pretends_is_found_out() {
    let bench = Bench::with_router();
    for announcement in announcements(NEW, GATEWAY) {
        assert_eq!(bench.feed(&announcement), [bench.question(OLD, GATEWAY)]);
        // The router is still there.
        assert!(bench.feed(&bench.reply(OLD, GATEWAY)).is_empty());
        assert_eq!(bench.next(FAR), Some(OLD));
        // And for a while nobody is asked.
        for again in announcements(NEW, GATEWAY) {
            assert!(bench.feed(&again).is_empty());
        }
        assert_eq!(bench.next(FAR), Some(OLD));
        bench.host.pass(&bench.clock, Duration::from_secs(3));
    }
    let counters = bench.host.net.counters();
    assert_eq!((counters.neighbours_moved, counters.moves_disputed), (5, 5));
}

/// A hardware address that nobody has takes a neighbour's packets for three seconds, no longer.
#[test]
fn one_that_moved_nowhere_is_asked_for_again() {
    let bench = Bench::with_router();
    bench.feed(&announcements(NEW, GATEWAY)[0]);
    for _ in 0..3 {
        assert_eq!(bench.next(FAR), Some(NEW));
        bench.host.pass(&bench.clock, Duration::from_secs(1));
    }
    assert_eq!(bench.send(FAR), [bench.question(EVERYONE, GATEWAY)]);
    assert_eq!(bench.feed(&bench.reply(OLD, GATEWAY))[0][..6], OLD);
}

/// A table of 256 entries is not for passers-by (as Linux with `arp_accept=0`).
#[test]
fn strangers_are_not_learnt_and_the_second_answer_is_not_heard() {
    let bench = Bench::new(24, Some(GATEWAY));
    for announcement in announcements(MAC, PEER) {
        assert!(bench.feed(&announcement).is_empty());
    }
    bench.feed(&bench.reply(MAC, PEER));
    assert_eq!(bench.send(PEER), [bench.question(EVERYONE, PEER)]);
    assert_eq!(bench.feed(&bench.reply(MAC, PEER))[0][..6], MAC);
    let thief = [2, 6, 6, 6, 6, 6];
    assert!(bench.feed(&bench.reply(thief, PEER)).is_empty());
    let reply = bench.feed(&echo_request(bench.host.mac, bench.host.address, b"x"));
    assert_eq!(reply[0][..6], MAC);
    let other = Ipv4Addr::new(10, 0, 0, 77);
    assert!(bench.feed(&introduce(other)).is_empty(), "it is not for us");
    // With a hardware address that is a group's (RFC 1812, 3.3.2), and our own, sent back.
    for mac in [EVERYONE, [3, 0xbf, 0, 0, 0, 1], bench.host.mac] {
        assert!(bench.feed(&announcements(mac, PEER)[0]).is_empty());
        assert_eq!(bench.next(PEER), Some(MAC));
    }
    assert_eq!(bench.host.net.counters().neighbours_moved, 0);
}

/// IEEE 802.1Q, 6.9.1: a frame with a priority and no VLAN is as one without a tag.
#[test]
fn priority_tagged_frames_are_as_untagged_ones() {
    let bench = Bench::new(24, Some(GATEWAY));
    let tagged =
        |frame: &[u8], tag: [u8; 2]| [&frame[..12], &[0x81, 0], &tag, &frame[12..]].concat();
    let own = (bench.host.mac, bench.host.address);
    let ping = echo_request(own.0, own.1, b"ping");
    let mut answered = Vec::new();
    for tag in [[0, 0], [0xe0, 0], [0x10, 0], [0xf0, 0]] {
        let sent = bench.feed(&tagged(&introduce(own.1), tag));
        assert_eq!(sent, [arp(MAC, 2, own, (MAC, PEER))], "{tag:?}");
        let sent = bench.feed(&tagged(&ping, tag));
        assert_eq!((sent.len(), checksum(&sent[0][34..])), (1, 0), "{tag:?}");
        answered.push(sent[0].clone());
    }
    let plain = bench.feed(&ping);
    assert!(answered.iter().all(|answer| answer[34..] == plain[0][34..]));
    // Another VLAN's, a second tag's, and one cut short.
    let before = bench.host.net.counters();
    for (frame, tag) in [
        (ping.clone(), [0, 1]),
        (ping.clone(), [0xef, 0xff]),
        (tagged(&ping, [0, 0]), [0, 0]),
        (tagged(&ping, [0, 1]), [0, 0]),
        (ping[..12].to_vec(), [0, 0]),
    ] {
        assert!(bench.feed(&tagged(&frame, tag)).is_empty());
    }
    let after = bench.host.net.counters();
    assert_eq!(after.unknown_protocol, before.unknown_protocol + 4);
    assert_eq!(after.malformed, before.malformed + 1);
    assert_eq!(after.frames, before.frames + 5);
}

/// A datagram of a sender that is not on the link is answered by the way to it.
#[test]
fn what_comes_from_beyond_the_router_goes_back_by_it() {
    let bench = Bench::with_router();
    let far = ipv4(bench.host.mac, FAR, bench.host.address, 1, &echo_body());
    assert_eq!(bench.feed(&far)[0][..6], OLD);
    assert!(bench.feed(&udp(bench.host.mac, bench.host.address, (1, 9), b"x")).is_empty());
}

fn echo_body() -> Vec<u8> {
    echo_request([0; 6], PEER, b"far")[34..].to_vec()
}
