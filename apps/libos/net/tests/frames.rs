//! Everything that is not a connection: bad frames, ARP, ICMP, UDP.

use crate::common;
use common::Host;
use common::raw::{
    ACK, MAC, PEER, RST, SYN, Segment, arp, checksum, echo_request, introduce, ipv4, segments, udp,
};
use proptest::prelude::*;
use reflex_event::{Context, Instant};
use reflex_net::{Counters, Datagram, Error, UdpService, UdpSocket};
use reflex_testkit::{Clock, SimKernel};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

fn host(seed: u64) -> (Clock, Host) {
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, seed);
    host.sent(&clock);
    (clock, host)
}

/// Echoes datagrams.
#[derive(Default)]
struct Mirror {
    seen: Vec<(SocketAddrV4, SocketAddrV4, usize)>,
    refused: Vec<Error>,
}

impl UdpService<SimKernel> for Mirror {
    fn datagram(&mut self, socket: &UdpSocket<SimKernel>, datagram: Datagram<'_>) {
        self.seen.push((datagram.from, datagram.to, datagram.payload.len()));
        if let Err(error) = socket.send_to(datagram.payload, datagram.from) {
            self.refused.push(error);
        }
    }
}

fn mirror(host: &Host) -> Context<Mirror> {
    let context = host.kernel.context(Mirror::default(), 1 << 20);
    host.net.udp(7).serve(context).unwrap();
    context
}

/// The sum of what `frames` is made of.
fn classes(counters: &Counters) -> u64 {
    counters.segments
        + counters.openings
        + counters.datagrams
        + counters.others
        + counters.not_for_us
        + counters.malformed
        + counters.fragments
        + counters.bad_header_checksum
        + counters.unknown_protocol
        + counters.queue_full
        + counters.frames_exhausted
        + counters.unreachable_protocol
}

#[test]
fn udp_echo() {
    let (clock, host) = host(1);
    let context = mirror(&host);
    host.exchange(&clock, &introduce(host.address));
    for length in [0, 1, 2, 7, 8, 100, 1471, 1472] {
        let payload = common::pattern(length, length as u64);
        let sent = host.exchange(&clock, &udp(host.mac, host.address, (5000, 7), &payload));
        assert_eq!(sent.len(), 1, "{length}");
        let mut expected = udp(MAC, host.address, (7, 5000), &payload);
        // Ours to theirs, not theirs to ours.
        expected[6..12].copy_from_slice(&host.mac);
        expected[26..30].copy_from_slice(&host.address.octets());
        expected[30..34].copy_from_slice(&PEER.octets());
        if 28 + length > 576 {
            // May be fragmented, and is told apart for that (RFC 8085, 3.2).
            expected[18..20].copy_from_slice(&sent[0][18..20]);
            expected[20] = 0;
            expected[24..26].fill(0);
            let sum = checksum(&expected[14..34]);
            expected[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        assert_eq!(sent[0], expected, "{length}");
    }
    host.kernel.state(context, |mirror| assert!(mirror.refused.is_empty()));
    assert_eq!(host.net.counters().datagrams_sent, 8);
}

#[test]
fn datagrams_that_cannot_be_sent_say_why() {
    let (clock, host) = host(1);
    let context = host.kernel.context(Mirror::default(), 1 << 20);
    let socket = host.net.udp(7).buffers(4, 1000).serve(context).unwrap();
    assert!(matches!(host.net.udp(7).serve(context), Err(Error::PortInUse)));
    let peer = SocketAddrV4::new(PEER, 9);
    assert_eq!(socket.send_to(&[0; 1473], peer), Err(Error::TooLong));
    assert_eq!(socket.send_to(&[], SocketAddrV4::new(PEER, 0)), Err(Error::BadDestination));
    assert_eq!(socket.send_to(&[0; 900], peer), Ok(()));
    assert_eq!(socket.send_to(&[0; 900], peer), Err(Error::QueueFull));
    // The peer is asked for, three times, and does not answer.
    host.kernel.run_until_idle();
    let sent = host.pass(&clock, Duration::from_secs(6));
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(sent.iter().all(|frame| frame[12..14] == [8, 6]));
    assert_eq!(host.net.counters().unreachable, 1);
    assert_eq!(socket.send_to(&[0; 900], peer), Ok(()));
}

#[test]
fn a_datagram_waits_for_the_neighbour() {
    let (clock, host) = host(1);
    let context = host.kernel.context(Mirror::default(), 1 << 20);
    let socket = host.net.udp(7).serve(context).unwrap();
    socket.send_to(b"hello", SocketAddrV4::new(PEER, 9)).unwrap();
    host.kernel.run_until_idle();
    let sent = host.sent(&clock);
    assert_eq!(sent[0], arp([0xff; 6], 1, (host.mac, host.address), ([0; 6], PEER)));
    let answer = arp(host.mac, 2, (MAC, PEER), (host.mac, host.address));
    let sent = host.exchange(&clock, &answer);
    assert_eq!((sent.len(), &sent[0][..6], &sent[0][42..]), (1, &MAC[..], &b"hello"[..]));
}

#[test]
fn far_destinations_go_to_the_gateway() {
    let (clock, host) = host(1);
    let context = host.kernel.context(Mirror::default(), 1 << 20);
    let socket = host.net.udp(7).serve(context).unwrap();
    let (gateway, mac) = (Ipv4Addr::new(10, 0, 0, 254), [2, 9, 9, 9, 9, 9]);
    host.exchange(&clock, &arp(host.mac, 2, (mac, gateway), (host.mac, host.address)));
    socket.send_to(b"far", SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 9)).unwrap();
    host.kernel.run_until_idle();
    let sent = host.sent(&clock);
    assert_eq!((sent.len(), &sent[0][..6]), (1, &mac[..]));
}

#[test]
fn echo_requests_are_answered_up_to_the_limit() {
    let (clock, host) = host(1);
    host.exchange(&clock, &introduce(host.address));
    let sent = host.exchange(&clock, &echo_request(host.mac, host.address, b"ping pong"));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][34], 0, "an echo reply");
    assert_eq!(checksum(&sent[0][14..34]), 0);
    assert_eq!(checksum(&sent[0][34..]), 0);
    assert_eq!(&sent[0][42..], b"ping pong");
    let mut everyone = echo_request([0xff; 6], Ipv4Addr::BROADCAST, b"all");
    assert!(host.exchange(&clock, &everyone).is_empty());
    everyone = echo_request([0xff; 6], Ipv4Addr::new(10, 0, 0, 255), b"all");
    assert!(host.exchange(&clock, &everyone).is_empty());
    for _ in 0..2000 {
        host.exchange(&clock, &echo_request(host.mac, host.address, b"flood"));
    }
    let counters = host.net.counters();
    assert!(counters.rate_limited >= 800, "{}", counters.rate_limited);
    assert!(counters.rate_limited <= 1200, "{}", counters.rate_limited);
}

#[test]
fn closed_udp_ports_are_unreachable_and_broadcasts_to_them_are_not_answered() {
    let (clock, host) = host(1);
    host.exchange(&clock, &introduce(host.address));
    let sent = host.exchange(&clock, &udp(host.mac, host.address, (5000, 99), b"?"));
    assert_eq!((sent.len(), &sent[0][34..36]), (1, &[3, 3][..]), "port unreachable");
    let everyone = Ipv4Addr::new(10, 0, 0, 255);
    assert!(host.exchange(&clock, &udp([0xff; 6], everyone, (5000, 99), b"?")).is_empty());
    let context = mirror(&host);
    let sent = host.exchange(&clock, &udp([0xff; 6], everyone, (5000, 7), b"all"));
    assert_eq!(sent.len(), 1);
    host.kernel.state(context, |mirror| {
        assert_eq!(mirror.seen[0].1, SocketAddrV4::new(everyone, 7));
    });
}

#[test]
fn bad_frames_are_dropped_for_the_right_reason() {
    let (clock, host) = host(1);
    mirror(&host);
    let good = udp(host.mac, host.address, (5000, 7), b"hello");
    let with = |change: fn(&mut Vec<u8>)| {
        let mut frame = good.clone();
        change(&mut frame);
        let sum = {
            frame[24..26].fill(0);
            checksum(&frame[14..34])
        };
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    let mut expected = host.net.counters();
    let mut check = |frame: &[u8], count: fn(&mut Counters)| {
        let sent = host.exchange(&clock, frame);
        assert!(sent.is_empty());
        expected.frames += 1;
        count(&mut expected);
        assert_eq!(host.net.counters(), expected);
    };
    check(&[], |c| c.malformed += 1);
    check(&good[..13], |c| c.malformed += 1);
    check(&good[..33], |c| c.malformed += 1);
    check(&good[..40], |c| c.malformed += 1);
    check(&with(|f| f[0] = 4), |c| c.not_for_us += 1);
    check(&with(|f| f[33] = 9), |c| c.not_for_us += 1);
    check(&with(|f| f[12] = 0x86), |c| c.unknown_protocol += 1);
    check(&with(|f| f[14] = 0x44), |c| c.malformed += 1);
    check(&with(|f| f[14] = 0x65), |c| c.malformed += 1);
    check(&with(|f| f[16] = 1), |c| c.malformed += 1);
    check(&with(|f| f[39] = 200), |c| c.malformed += 1);
    check(&with(|f| f[39] = 7), |c| c.malformed += 1);
    // It is not the last, and not of a multiple of eight bytes.
    check(&with(|f| f[20] = 0x20), |c| (c.fragments += 1, c.reassembly_failed += 1).0);
    check(&with(|f| f[21] = 1), |c| c.fragments += 1);
    let mut bad = good.clone();
    bad[25] ^= 1;
    check(&bad, |c| c.bad_header_checksum += 1);
    let mut bad = good.clone();
    bad[44] ^= 1;
    check(&bad, |c| (c.datagrams += 1, c.bad_checksum += 1).0);
    let segment = Segment::new(5000, 80, SYN, 1, 0).frame(host.mac, host.address);
    let mut bad = segment.clone();
    bad[38] ^= 1;
    check(&bad, |c| (c.others += 1, c.bad_checksum += 1).0);
    let nobody = Ipv4Addr::UNSPECIFIED;
    for source in [nobody, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        let segment = Segment::new(5000, 80, SYN, 1, 0);
        check(&segment.frame_from(source, host.mac, host.address), |c| c.malformed += 1);
    }
    // Answers to these would go to everybody, or to nobody.
    check(&with(|f| f[26..30].fill(0)), |c| c.malformed += 1);
    check(&with(|f| f[26..30].fill(255)), |c| c.malformed += 1);
    check(&with(|f| f[26..30].copy_from_slice(&[224, 0, 0, 1])), |c| c.malformed += 1);
    check(&with(|f| f[26..30].copy_from_slice(&[127, 0, 0, 1])), |c| c.malformed += 1);
    check(&with(|f| f.copy_within(30..34, 26)), |c| c.malformed += 1);
    // Padding behind a short packet is no fault.
    let mut padded = good.clone();
    padded.resize(60, 0);
    host.exchange(&clock, &padded);
    assert_eq!(host.net.counters().datagrams, expected.datagrams + 1);
}

#[test]
fn a_connection_survives_bad_segments() {
    let (clock, host) = host(1);
    let trace = reflex_testkit::Trace::default();
    let service = host.kernel.context(common::Noting::echo("s", &trace), 1 << 20);
    host.net.listen(80).serve(service).unwrap();
    host.exchange(&clock, &introduce(host.address));
    let feed = |segment: &Segment| {
        segments(&host.exchange(&clock, &segment.frame(host.mac, host.address)))
    };
    let ack = feed(&Segment::new(4000, 80, SYN, 1000, 0))[0].sequence + 1;
    feed(&Segment::new(4000, 80, ACK, 1001, ack));
    let good = Segment::new(4000, 80, ACK, 1001, ack).with(b"hello");
    for at in 34..good.frame(host.mac, host.address).len() {
        let mut bad = good.frame(host.mac, host.address);
        bad[at] ^= 4;
        let sent = segments(&host.exchange(&clock, &bad));
        assert!(sent.iter().all(|segment| segment.payload.is_empty()));
        assert!(sent.iter().all(|segment| segment.source != 80 || segment.flags & RST == 0));
    }
    assert_eq!(feed(&good)[0].payload, b"hello");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_whatever_does_harm(
        frames in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..200), 0usize..9, any::<u8>(), any::<u16>()),
            1..20,
        ),
        seed in 0u64..1000,
    ) {
        let (clock, host) = host(seed);
        mirror(&host);
        let trace = reflex_testkit::Trace::default();
        let service = host.kernel.context(common::Noting::echo("s", &trace), 1 << 20);
        host.net.listen(80).serve(service).unwrap();
        host.exchange(&clock, &introduce(host.address));
        let mut fed = host.net.counters().frames;
        for (bytes, kind, mutation, place) in frames {
            let mut frame = match kind {
                0 => bytes,
                1 => ipv4(host.mac, PEER, host.address, 6, &bytes),
                2 => ipv4(host.mac, PEER, host.address, 17, &bytes),
                3 => ipv4(host.mac, PEER, host.address, 1, &bytes),
                4 => udp(host.mac, host.address, (place, 7), &bytes),
                5 => udp(host.mac, host.address, (67, 68), &bytes),
                6 => echo_request(host.mac, host.address, &bytes),
                7 => arp(host.mac, mutation, (MAC, PEER), (host.mac, host.address)),
                _ => {
                    // Any flags, sequence numbers near those of connections there may be.
                    let mut segment = Segment::new(place % 4 + 4000, 80, mutation, 1000, 0);
                    segment.sequence = segment.sequence.wrapping_add(u32::from(place % 8));
                    segment.payload = bytes;
                    segment.frame(host.mac, host.address)
                }
            };
            if mutation % 3 == 0 && !frame.is_empty() {
                let at = usize::from(place) % frame.len();
                frame[at] = frame[at].wrapping_add(mutation);
            }
            if mutation % 7 == 0 {
                frame.truncate(usize::from(place) % (frame.len() + 1));
            }
            host.exchange(&clock, &frame);
            fed += 1;
        }
        host.pass(&clock, Duration::from_secs(30));
        let counters = host.net.counters();
        prop_assert_eq!(counters.frames, fed);
        prop_assert_eq!(classes(&counters), counters.frames);
        // It still works.
        host.exchange(&clock, &introduce(host.address));
        let sent = host.exchange(&clock, &echo_request(host.mac, host.address, b"alive"));
        prop_assert_eq!(sent.len(), 1);
    }
}
