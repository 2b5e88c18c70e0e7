//! What a frame is for, at the edges of every rule.

use super::*;
use crate::ip::header::{ACK, ICMP, SYN, TCP, UDP, is_intact, packet};
use crate::table::flow_key::FlowKey;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::vec;
use std::vec::Vec;

#[path = "../../../tests/common/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the whole stack")]
mod raw;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const EVERYBODY: [u8; 6] = [0xff; 6];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const SUBNET: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe12, 0x3456);
const SECOND6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
const BESIDE: u16 = 4791;
const SCTP: u8 = 132;

fn at(address: Ipv4Addr, prefix: u8) -> Station {
    Station {
        mac: OURS,
        address: Some((address.to_bits(), prefix)),
        addresses6: [OWN6.to_bits(), SECOND6.to_bits()],
        attached: Some(BESIDE),
        hears_dhcp: false,
        loopback: false,
    }
}

fn station() -> Station {
    at(OWN, 24)
}

fn nameless() -> Station {
    Station { address: None, hears_dhcp: true, ..station() }
}

/// A frame to our Ethernet address.
fn frame(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    raw::ipv4(OURS, from, to, protocol, payload)
}

/// Changes the IPv4 header of a frame and makes its checksum right again.
fn with_header(mut frame: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut frame[ETHERNET..]);
    let length = usize::from(frame[ETHERNET] & 15) * 4;
    let header = &mut frame[ETHERNET..ETHERNET + length];
    header[10..12].fill(0);
    let sum = raw::checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn datagram(from: Ipv4Addr, to: Ipv4Addr, ports: (u16, u16)) -> Vec<u8> {
    raw::udp_from(from, OURS, to, ports, b"hello")
}

/// A TCP header of `words` times four bytes, if it says so, and `length` bytes in all.
fn segment(ports: (u16, u16), words: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..2].copy_from_slice(&ports.0.to_be_bytes());
    bytes[2..4].copy_from_slice(&ports.1.to_be_bytes());
    (bytes[12], bytes[13]) = (words << 4, SYN | ACK);
    bytes
}

/// An IPv6 packet in a frame to `mac`.
fn ipv6(mac: [u8; 6], to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&mac[..], &raw::MAC, &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next, 255]);
    frame.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2).octets());
    frame.extend(to.octets());
    frame.extend(payload);
    frame
}

/// The UDP header of a datagram to `port`.
fn to_port(port: u16) -> Vec<u8> {
    [&[0x12, 0x34], &port.to_be_bytes()[..], &[0, 8, 0, 0]].concat()
}

#[test]
fn ethernet() {
    let with = |to: [u8; 6], kind: [u8; 2]| {
        let mut frame = datagram(PEER, OWN, (5000, 7));
        frame[..6].copy_from_slice(&to);
        frame[12..14].copy_from_slice(&kind);
        classify(&frame, &station())
    };
    let mine = Ok(Class::Udp { port: 7, broadcast: false });
    assert_eq!(with(OURS, [8, 0]), mine);
    assert_eq!(with(EVERYBODY, [8, 0]), mine);
    assert_eq!(with([2, 0, 0, 0, 0, 2], [8, 0]), Err(Bad::NotForUs));
    assert_eq!(with([0x33, 0x33, 0, 0, 0, 1], [8, 0]), Err(Bad::NotForUs));
    for to in [OURS, EVERYBODY] {
        assert_eq!(with(to, [8, 6]), Ok(Class::Arp));
        assert_eq!(with(to, [0x88, 0xcc]), Err(Bad::UnknownProtocol));
    }
    assert_eq!(with([2, 0, 0, 0, 0, 2], [8, 6]), Err(Bad::NotForUs));
    assert_eq!(with([2, 0, 0, 0, 0, 2], [0x86, 0xdd]), Err(Bad::NotForUs));
    // IPv6 has groups, and nothing for everybody.
    let everybody = ipv6(EVERYBODY, OWN6, ndisc::ICMP6, &[]);
    assert_eq!(classify(&everybody, &station()), Err(Bad::UnknownProtocol));
}

/// RFC 919, and none where a network has no room for one (RFC 3021).
#[test]
fn a_network_has_one_address_for_everybody() {
    let everybody = Ok(Class::Udp { port: 7, broadcast: true });
    for (own, prefix, to, expected) in [
        (OWN, 24, SUBNET, everybody),
        (OWN, 24, Ipv4Addr::new(10, 0, 0, 254), Err(Bad::NotForUs)),
        (OWN, 24, Ipv4Addr::new(10, 0, 1, 255), Err(Bad::NotForUs)),
        (OWN, 24, Ipv4Addr::BROADCAST, everybody),
        (OWN, 30, Ipv4Addr::new(10, 0, 0, 3), everybody),
        (OWN, 30, Ipv4Addr::new(10, 0, 0, 2), Err(Bad::NotForUs)),
        (Ipv4Addr::new(10, 0, 0, 0), 31, OWN, Err(Bad::NotForUs)),
        (OWN, 32, OTHER, Err(Bad::NotForUs)),
        (OWN, 32, Ipv4Addr::BROADCAST, everybody),
        (OWN, 0, Ipv4Addr::BROADCAST, everybody),
        (OWN, 0, SUBNET, Err(Bad::NotForUs)),
    ] {
        let frame = datagram(PEER, to, (5000, 7));
        assert_eq!(classify(&frame, &at(own, prefix)), expected, "{own}/{prefix} {to}");
    }
    let frame = datagram(PEER, Ipv4Addr::BROADCAST, (5000, 7));
    assert_eq!(classify(&frame, &nameless()), everybody);
    // The other one of two is heard.
    let frame = datagram(OWN, Ipv4Addr::new(10, 0, 0, 0), (5000, 7));
    let alone = Ok(Class::Udp { port: 7, broadcast: false });
    assert_eq!(classify(&frame, &at(Ipv4Addr::new(10, 0, 0, 0), 31)), alone);
    assert_eq!(classify(&datagram(PEER, OWN, (5000, 7)), &at(OWN, 32)), alone);
}

/// What would be answered to a group, to everybody, or to ourselves is not heard.
#[test]
fn senders() {
    for (from, heard) in [
        (PEER, true),
        (Ipv4Addr::new(1, 0, 0, 0), true),
        (Ipv4Addr::new(126, 255, 255, 255), true),
        (Ipv4Addr::new(127, 0, 0, 0), false),
        (Ipv4Addr::new(127, 255, 255, 255), false),
        (Ipv4Addr::new(128, 0, 0, 0), true),
        (Ipv4Addr::new(223, 255, 255, 255), true),
        (Ipv4Addr::new(224, 0, 0, 0), false),
        (Ipv4Addr::new(240, 0, 0, 0), false),
        (Ipv4Addr::BROADCAST, false),
        (SUBNET, false),
        (OWN, false),
    ] {
        for to in [OWN, SUBNET] {
            let class = classify(&datagram(from, to, (5000, 7)), &station());
            let expected = Class::Udp { port: 7, broadcast: to == SUBNET };
            assert_eq!(
                class,
                if heard { Ok(expected) } else { Err(Bad::Malformed) },
                "{from} {to}"
            );
        }
    }
    // Only to everybody.
    let class = |to| classify(&datagram(NOBODY, to, (5000, 7)), &station());
    assert_eq!(class(SUBNET), Ok(Class::Udp { port: 7, broadcast: true }));
    assert_eq!(class(OWN), Err(Bad::Malformed));
    assert_eq!(class(OTHER), Err(Bad::Malformed));
}

#[test]
fn protocols_and_what_they_are_for() {
    let tcp = segment((5000, 80), 5, 20);
    let key =
        FlowKey { remote: PEER.to_bits(), local: OWN.to_bits(), remote_port: 5000, local_port: 80 };
    let echo = [8, 0, 0, 0];
    for (to, protocol, payload, expected) in [
        (OWN, TCP, &tcp[..], Ok(Class::Tcp { key, flags: SYN | ACK })),
        (SUBNET, TCP, &tcp, Err(Bad::NotForUs)),
        (OTHER, TCP, &tcp, Err(Bad::NotForUs)),
        (OWN, ICMP, &echo, Ok(Class::Icmp)),
        (SUBNET, ICMP, &echo, Err(Bad::NotForUs)),
        (OTHER, ICMP, &echo, Err(Bad::NotForUs)),
        (OWN, SCTP, &echo, Ok(Class::UnknownProtocol)),
        (SUBNET, SCTP, &echo, Err(Bad::NotForUs)),
        (OTHER, SCTP, &echo, Err(Bad::NotForUs)),
        (OWN, UDP, &to_port(7), Ok(Class::Udp { port: 7, broadcast: false })),
        (SUBNET, UDP, &to_port(7), Ok(Class::Udp { port: 7, broadcast: true })),
        (OTHER, UDP, &to_port(7), Err(Bad::NotForUs)),
        (OWN, UDP, &to_port(BESIDE), Ok(Class::Attached)),
        (SUBNET, UDP, &to_port(BESIDE), Ok(Class::Udp { port: BESIDE, broadcast: true })),
        (OTHER, UDP, &to_port(BESIDE), Err(Bad::NotForUs)),
    ] {
        let class = classify(&frame(protocol, PEER, to, payload), &station());
        assert_eq!(class, expected, "{to} {protocol}");
    }
    // Without a protocol beside the stack, its port is one like others.
    let alone = Station { attached: None, ..station() };
    let class = classify(&frame(UDP, PEER, OWN, &to_port(BESIDE)), &alone);
    assert_eq!(class, Ok(Class::Udp { port: BESIDE, broadcast: false }));
    for station in [station(), alone] {
        assert_eq!(classify(&frame(UDP, PEER, OWN, &[1, 2, 3]), &station), Err(Bad::Malformed));
    }
}

/// A client that has no address yet is answered at the one it will have (RFC 2131, 4.1); one that has
/// an address, too. Where there is no client, its port is one like others.
#[test]
fn dhcp() {
    let leased = Station { hears_dhcp: true, ..station() };
    let datagram_to_68 = |broadcast| Ok(Class::Udp { port: 68, broadcast });
    for (station, to, ports, expected) in [
        (leased, OWN, (67, 68), Ok(Class::Dhcp)),
        (leased, SUBNET, (67, 68), Ok(Class::Dhcp)),
        (leased, OTHER, (67, 68), Ok(Class::Dhcp)),
        (leased, OTHER, (67, 69), Err(Bad::NotForUs)),
        (station(), OWN, (67, 68), datagram_to_68(false)),
        (station(), SUBNET, (67, 68), datagram_to_68(true)),
        (station(), OTHER, (67, 68), Err(Bad::NotForUs)),
        (nameless(), OTHER, (67, 68), Ok(Class::Dhcp)),
        (nameless(), Ipv4Addr::BROADCAST, (67, 68), Ok(Class::Dhcp)),
        (nameless(), OTHER, (67, 69), Err(Bad::NotForUs)),
        // A relay or a translator may be between.
        (nameless(), OTHER, (66, 68), Ok(Class::Dhcp)),
        (nameless(), OTHER, (5000, BESIDE), Err(Bad::NotForUs)),
    ] {
        let class = classify(&datagram(PEER, to, ports), &station);
        assert_eq!(class, expected, "{to} {ports:?}");
    }
    assert_eq!(classify(&frame(TCP, PEER, OWN, &[0; 20]), &nameless()), Err(Bad::NotForUs));
}

#[test]
fn the_header_says_how_long_it_and_its_packet_are() {
    let class = |frame: &[u8]| classify(frame, &station());
    let good = frame(SCTP, PEER, OWN, &[]);
    let fine = Ok(Class::UnknownProtocol);
    assert_eq!(class(&good), fine, "a header and nothing else");
    for version in [0, 3, 5, 6, 15] {
        let frame = with_header(good.clone(), |header| header[0] = version << 4 | 5);
        assert_eq!(class(&frame), Err(Bad::Malformed), "version {version}");
    }
    // With as many words of options as there are in the packet, and with one more.
    for words in 0..=10u8 {
        let payload = vec![1; usize::from(words) * 4];
        let long = frame(SCTP, PEER, OWN, &payload);
        assert_eq!(class(&with_header(long.clone(), |header| header[0] = 0x45 + words)), fine);
        if words < 10 {
            let mut longer = long;
            longer[ETHERNET] = 0x46 + words;
            assert_eq!(class(&longer), Err(Bad::Malformed), "{words}");
        }
    }
    for words in 0..5 {
        let frame = with_header(good.clone(), |header| header[0] = 0x45);
        let short = [&frame[..ETHERNET], &[0x40 + words], &frame[ETHERNET + 1..]].concat();
        assert_eq!(class(&short), Err(Bad::Malformed), "{words}");
    }
    // What cannot be is malformed, whatever else it says: 0x20 is that more fragments follow.
    for fragment in [0, 0x20] {
        for total in [0, 19, 21, 0xffff_u16] {
            let frame = with_header(good.clone(), |header| {
                header[2..4].copy_from_slice(&total.to_be_bytes());
                header[6] = fragment;
            });
            assert_eq!(class(&frame), Err(Bad::Malformed), "{total}");
        }
    }
    let mut broken = good.clone();
    broken[ETHERNET + 10] ^= 1;
    assert_eq!(class(&broken), Err(Bad::HeaderChecksum));
}

/// All but "don't fragment": the offset, "more fragments", and the bit that must be zero.
#[test]
fn fragments() {
    let class = |source, target, bit: u32| {
        let frame = with_header(datagram(source, target, (5000, 7)), |header| {
            header[6..8].copy_from_slice(&(1_u16 << bit).to_be_bytes());
        });
        classify(&frame, &station())
    };
    for bit in 0..14 {
        assert_eq!(class(PEER, OWN, bit), Ok(Class::Fragment), "{bit}");
    }
    assert!(matches!(class(PEER, OWN, 14), Ok(Class::Udp { .. })));
    assert_eq!(class(PEER, OWN, 15), Err(Bad::Malformed));
    assert_eq!(class(PEER, SUBNET, 13), Ok(Class::Fragment));
    assert_eq!(class(PEER, OTHER, 13), Err(Bad::NotForUs));
    assert_eq!(class(SUBNET, OWN, 13), Err(Bad::Malformed));
    assert_eq!(class(Ipv4Addr::UNSPECIFIED, OWN, 13), Err(Bad::Malformed));
}

#[test]
fn tcp_headers() {
    let class = |ports, words, length| {
        classify(&frame(TCP, PEER, OWN, &segment(ports, words, length)), &station())
    };
    for words in 0..16 {
        let length = usize::from(words) * 4;
        let enough = class((5000, 80), words, length.max(20));
        assert_eq!(enough.is_ok(), words >= 5, "{words}");
        assert_eq!(class((5000, 80), words, length.max(20) + 1).is_ok(), words >= 5, "{words}");
        if words > 5 {
            assert_eq!(class((5000, 80), words, length - 1), Err(Bad::Malformed), "{words}");
        }
    }
    for ports in [(0, 80), (5000, 0), (0, 0)] {
        assert_eq!(class(ports, 5, 20), Err(Bad::Malformed));
    }
    for length in 0..20 {
        let short = &segment((5000, 80), 5, 20)[..length];
        assert_eq!(classify(&frame(TCP, PEER, OWN, short), &station()), Err(Bad::Malformed));
    }
}

#[test]
fn udp_headers() {
    let class = |says: u16, payload: usize| {
        let mut bytes = vec![0; payload];
        bytes[..4].copy_from_slice(&[0x12, 0x34, 0, 7]);
        bytes[4..6].copy_from_slice(&says.to_be_bytes());
        classify(&frame(UDP, PEER, OWN, &bytes), &station())
    };
    let fine = Ok(Class::Udp { port: 7, broadcast: false });
    for (says, payload, expected) in [
        (7, 8, Err(Bad::Malformed)),
        (0, 8, Err(Bad::Malformed)),
        (8, 8, fine),
        (9, 8, Err(Bad::Malformed)),
        (8, 9, fine),
        (20, 20, fine),
        (21, 20, Err(Bad::Malformed)),
    ] {
        assert_eq!(class(says, payload), expected, "{says} of {payload}");
    }
    for length in 0..8 {
        let short = &to_port(7)[..length];
        assert_eq!(classify(&frame(UDP, PEER, OWN, short), &station()), Err(Bad::Malformed));
    }
}

#[test]
fn ipv6_is_for_neighbours_and_the_protocol_beside() {
    let group = |of: Ipv6Addr| Ipv6Addr::from_bits(ndisc::solicited_node(of.to_bits()));
    let group_mac = |of: Ipv6Addr| ndisc::group_mac(ndisc::solicited_node(of.to_bits()));
    let (udp, other) = (to_port(BESIDE), to_port(7));
    let elsewhere = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
    for (mac, to, next, payload, expected) in [
        (OURS, OWN6, ndisc::ICMP6, &[][..], Ok(Class::Nd)),
        (OURS, SECOND6, ndisc::ICMP6, &[], Ok(Class::Nd)),
        (group_mac(OWN6), group(OWN6), ndisc::ICMP6, &[], Ok(Class::Nd)),
        (group_mac(SECOND6), group(SECOND6), ndisc::ICMP6, &[], Ok(Class::Nd)),
        (OURS, elsewhere, ndisc::ICMP6, &[], Err(Bad::NotForUs)),
        (group_mac(elsewhere), group(elsewhere), ndisc::ICMP6, &[], Err(Bad::NotForUs)),
        (OURS, OWN6, UDP, &udp, Ok(Class::Attached)),
        (OURS, SECOND6, UDP, &udp, Ok(Class::Attached)),
        (OURS, elsewhere, UDP, &udp, Err(Bad::NotForUs)),
        (OURS, OWN6, UDP, &other, Err(Bad::UnreachableProtocol)),
        (OURS, OWN6, UDP, &udp[..3], Err(Bad::UnreachableProtocol)),
        (OURS, OWN6, TCP, &udp, Err(Bad::UnreachableProtocol)),
        // What is answered goes to one.
        (group_mac(OWN6), OWN6, UDP, &udp, Err(Bad::UnreachableProtocol)),
        (group_mac(OWN6), group(OWN6), UDP, &udp, Err(Bad::UnreachableProtocol)),
        (OURS, group(OWN6), UDP, &udp, Err(Bad::UnreachableProtocol)),
    ] {
        let class = classify(&ipv6(mac, to, next, payload), &station());
        assert_eq!(class, expected, "{mac:x?} {to} {next}");
    }
    // An address that is not there is nobody's, nor is its group.
    let alone = Station { addresses6: [OWN6.to_bits(), 0], attached: None, ..station() };
    for to in [Ipv6Addr::UNSPECIFIED, group(Ipv6Addr::UNSPECIFIED), SECOND6] {
        assert_eq!(classify(&ipv6(OURS, to, ndisc::ICMP6, &[]), &alone), Err(Bad::NotForUs));
    }
    for payload in [&udp[..], &udp[..3], &[]] {
        let class = classify(&ipv6(OURS, OWN6, UDP, payload), &alone);
        assert_eq!(class, Err(Bad::UnreachableProtocol));
    }
}

/// RFC 4861, 7.2.6. Whatever else is for everybody is not for us.
#[test]
fn everybody_is_told_where_a_neighbour_is_and_nothing_else() {
    let everyone = Ipv6Addr::from_bits(EVERYONE);
    let advertisement = [ndisc::ADVERTISEMENT, 0, 0, 0];
    for (next, payload, heard) in [
        (ndisc::ICMP6, &advertisement[..], true),
        (ndisc::ICMP6, &advertisement[..1], true),
        (ndisc::ICMP6, &[ndisc::SOLICITATION, 0, 0, 0], false),
        (ndisc::ICMP6, &[128, 0, 0, 0], false),
        (ndisc::ICMP6, &[], false),
        (UDP, &advertisement, false),
        (UDP, &to_port(BESIDE), false),
    ] {
        let frame = ipv6(ndisc::group_mac(EVERYONE), everyone, next, payload);
        let expected = if heard { Ok(Class::Nd) } else { Err(Bad::UnreachableProtocol) };
        assert_eq!(classify(&frame, &station()), expected, "{next} {payload:?}");
    }
}

#[test]
fn ipv6_headers() {
    let good = ipv6(OURS, OWN6, ndisc::ICMP6, &[0; 8]);
    for version in 0..16 {
        let mut frame = good.clone();
        frame[ETHERNET] = version << 4;
        let expected = if version == 6 { Ok(Class::Nd) } else { Err(Bad::Malformed) };
        assert_eq!(classify(&frame, &station()), expected, "{version}");
    }
    let padded = [&good[..], &[0; 9]].concat();
    assert_eq!(classify(&padded, &station()), Ok(Class::Nd));
}

/// A frame that was cut off anywhere is not taken for a whole one.
#[test]
fn what_is_cut_off_is_malformed() {
    for whole in [
        raw::Segment::new(5000, 80, SYN, 1, 0).with(b"data").frame(OURS, OWN),
        datagram(PEER, OWN, (5000, 7)),
        raw::echo_request(OURS, OWN, b"ping"),
        ipv6(OURS, OWN6, UDP, &to_port(BESIDE)),
    ] {
        assert!(classify(&whole, &station()).is_ok());
        for length in 0..whole.len() {
            assert_eq!(classify(&whole[..length], &station()), Err(Bad::Malformed), "{length}");
        }
    }
}

#[test]
fn a_packet_has_options_and_a_frame_has_padding() {
    for words in 0..=10u8 {
        let options = usize::from(words) * 4;
        let payload = [&vec![1; options][..], b"payload"].concat();
        let mut whole = with_header(frame(SCTP, PEER, OWN, &payload), |h| h[0] = 0x45 + words);
        let length = whole.len();
        whole.extend([0xaa; 3]);
        let (packet, rest) = packet(&whole).expect("it is whole");
        assert_eq!((packet, rest), (&whole[ETHERNET..length], &b"payload"[..]), "{words}");
    }
    assert_eq!(packet(&frame(SCTP, PEER, OWN, &[])[..ETHERNET + 19]), None);
}

/// The checksums of what is built here by their definition.
fn with_checksum(protocol: u8, data: &[u8]) -> Vec<u8> {
    match protocol {
        TCP => raw::Segment::new(5000, 80, ACK, 1, 2).with(data).frame(OURS, OWN),
        UDP => raw::udp_from(PEER, OURS, OWN, (5000, 7), data),
        _ => raw::echo_request(OURS, OWN, data),
    }
}

proptest! {
    /// A checksum is right, and wrong when any bit of what it covers is another: of a datagram that
    /// is what its length says, and of TCP and UDP the addresses too.
    #[test]
    fn checksums_are_noticed(
        protocol in prop::sample::select(vec![TCP, UDP, ICMP]),
        data in prop::collection::vec(any::<u8>(), 0..60),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let good = with_checksum(protocol, &data);
        let is_right = |frame: &[u8]| {
            let (packet, payload) = packet(frame).expect("it is whole");
            is_intact(packet, payload)
        };
        prop_assert!(is_right(&good));
        let mut bad = good.clone();
        let at = ETHERNET + 20 + at.index(good.len() - ETHERNET - 20);
        bad[at] ^= 1_u8 << bit;
        // A datagram that says to be shorter may be right by chance.
        if protocol != UDP || !(ETHERNET + 24..ETHERNET + 26).contains(&at) {
            prop_assert!(!is_right(&bad));
        }
        let mut moved = good;
        moved[ETHERNET + 12] ^= 1_u8 << bit;
        prop_assert_eq!(is_right(&moved), protocol == ICMP, "the source's address");
    }
}

/// RFC 768: a datagram's length is its own, and its sender need not compute a checksum.
#[test]
fn datagrams_have_a_length_and_perhaps_a_checksum() {
    let whole = datagram(PEER, OWN, (5000, 7));
    let (_, payload) = packet(&whole).expect("it is whole");
    let longer = frame(UDP, PEER, OWN, &[payload, &[1, 2, 3]].concat());
    let (header, payload) = packet(&longer).expect("it is whole");
    assert!(is_intact(header, payload), "what lies behind it is not its own");
    let mut none = whole.clone();
    none[ETHERNET + 26..ETHERNET + 28].fill(0);
    let (header, payload) = packet(&none).expect("it is whole");
    assert!(is_intact(header, payload));
    for half in [26, 27] {
        let mut other = none.clone();
        other[ETHERNET + half] = 1;
        let (header, payload) = packet(&other).expect("it is whole");
        assert!(!is_intact(header, payload));
    }
    let mut long = none;
    long[ETHERNET + 25] += 1;
    let (header, payload) = packet(&long).expect("it is whole");
    assert!(!is_intact(header, payload), "it says to be longer than it is");
}

#[test]
fn words_are_big_endian_and_inside() {
    let bytes = [0, 1, 2, 3, 4];
    assert_eq!((word(&bytes, 0), word(&bytes, 1)), (0x0001_0203, 0x0102_0304));
    assert_eq!((word(&bytes, 2), word(&bytes, 9)), (0, 0));
}
