//! From a frame that was sent to the packet that scripts expect.

use super::numbers::{Numbers, Side, stream};
use super::packet::{Kind, Packet, Value};
use super::packet_text::{DHCP_MESSAGES, FLAGS, MESSAGES};
use crate::common::raw::{checksum, pseudo};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_be_bytes(*four))
}

fn v4(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from(word(bytes, at))
}

fn v6(bytes: &[u8], at: usize) -> Ipv6Addr {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>());
    chunk.map_or(Ipv6Addr::UNSPECIFIED, |bytes| Ipv6Addr::from(*bytes))
}

fn mac(bytes: &[u8], at: usize) -> Value {
    Value::Station(bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default())
}

fn number(value: impl Into<i64>) -> Value {
    Value::Number(value.into())
}

fn text(word: impl Into<String>) -> Value {
    Value::Word(word.into())
}

/// What `frame` is. What is new of a connection or a lease is noted in `numbers`.
pub(super) fn frame(frame: &[u8], numbers: &mut Numbers) -> Packet {
    let body = frame.get(14..).unwrap_or(&[]);
    let mut packet = match frame.get(12..14) {
        Some([8, 6]) => arp(body),
        Some([8, 0]) => ipv4(body, numbers, Side::Us),
        Some([0x86, 0xdd]) => nd(body),
        _ => Packet::new(Kind::Unknown),
    };
    packet.set("via", mac(frame, 0));
    packet.set("source", mac(frame, 6));
    packet
}

fn arp(bytes: &[u8]) -> Packet {
    let kind = if half(bytes, 6) == 1 { "request" } else { "reply" };
    Packet::new(Kind::Arp)
        .with("type", text(kind))
        .with("mac", mac(bytes, 8))
        .with("sender", Value::Address(v4(bytes, 14).into()))
        .with("tmac", mac(bytes, 18))
        .with("target", Value::Address(v4(bytes, 24).into()))
}

fn nd(bytes: &[u8]) -> Packet {
    let body = bytes.get(40..).unwrap_or(&[]);
    let kind = match (bytes.get(6), body.first()) {
        (Some(58), Some(135)) => "solicit",
        (Some(58), Some(136)) => "advertise",
        _ => return Packet::new(Kind::Unknown),
    };
    let flags = body.get(4).copied().unwrap_or(0);
    let letters = [('R', 0x80), ('S', 0x40), ('O', 0x20)];
    let letters: String =
        letters.iter().filter(|(_, bit)| flags & bit != 0).map(|(letter, _)| *letter).collect();
    let mut packet = Packet::new(Kind::Nd)
        .with("type", text(kind))
        .with("target", Value::Address(v6(body, 8).into()))
        .with("from", Value::Address(v6(bytes, 8).into()))
        .with("to", Value::Address(v6(bytes, 24).into()))
        .with("hops", number(bytes[7]));
    if !letters.is_empty() {
        packet.set("flags", text(letters));
    }
    if body.len() >= 32 {
        packet.set("mac", mac(body, 26));
    }
    packet
}

/// An IPv4 packet that `side` has sent.
fn ipv4(bytes: &[u8], numbers: &mut Numbers, side: Side) -> Packet {
    let header = usize::from(bytes.first().copied().unwrap_or(0) & 15) * 4;
    if header < 20 || bytes.len() < header {
        return Packet::new(Kind::Unknown);
    }
    let total = usize::from(half(bytes, 2)).min(bytes.len()).max(header);
    let payload = &bytes[header..total];
    let (source, target) = (v4(bytes, 12), v4(bytes, 16));
    let fragment = half(bytes, 6);
    let whole = fragment & 0x3fff == 0;
    let mut packet = match bytes[9] {
        _ if !whole => Packet::new(Kind::Piece).with("len", number(payload.len() as i64)),
        6 => tcp(payload, numbers, side),
        17 if half(payload, 0) == 68 => dhcp(payload.get(8..).unwrap_or(&[]), numbers),
        17 => udp(payload),
        1 => icmp(payload, numbers),
        _ => Packet::new(Kind::Unknown),
    };
    let intact = match bytes[9] {
        _ if !whole || side == Side::Peer => true,
        1 => checksum(payload) == 0,
        protocol => checksum(&pseudo(source, target, protocol, payload)) == 0,
    };
    if !intact || (side == Side::Us && checksum(&bytes[..header]) != 0) {
        packet.set("corrupt", Value::Set);
        packet.set("data", text("a checksum"));
    }
    if !whole {
        let from = usize::from(fragment & 0x1fff) * 8;
        packet.set("part", text(format!("{from}:{}", from + payload.len())));
    }
    for (name, bit) in [("df", 0x4000), ("more", 0x2000)] {
        if fragment & bit != 0 {
            packet.set(name, Value::Set);
        }
    }
    packet.set("ttl", number(bytes[8]));
    packet.set("tos", number(bytes[1]));
    packet.set("id", number(half(bytes, 4)));
    packet.set("from", Value::Address(source.into()));
    packet.set("to", Value::Address(target.into()));
    packet
}

fn tcp(bytes: &[u8], numbers: &mut Numbers, side: Side) -> Packet {
    let flags = bytes.get(13).copied().unwrap_or(0);
    let (from, to) = (half(bytes, 0), half(bytes, 2));
    let ports = if side == Side::Us { (from, to) } else { (to, from) };
    let sequence = word(bytes, 4);
    // How far a SYN of ours is beyond the last one of the same two ports.
    let known = numbers.known(ports).filter(|_| side == Side::Us && flags & 2 != 0);
    let since = known.map(|before| sequence.wrapping_sub(before)).filter(|since| *since != 0);
    if side == Side::Us && flags & 2 != 0 {
        numbers.opened(ports, sequence, flags & 16 == 0);
    }
    let (ours, theirs) = (numbers.ours(ports), numbers.theirs());
    let (own, other) = if side == Side::Us { (ours, theirs) } else { (theirs, ours) };
    let relative = |number: u32, base: u32| i64::from(number.wrapping_sub(base) as i32);
    let begin = relative(sequence, own);
    let letters: String =
        FLAGS.iter().filter(|(_, bit)| flags & bit != 0).map(|(letter, _)| *letter).collect();
    let header = usize::from(bytes.get(12).copied().unwrap_or(0) >> 4) * 4;
    let payload = bytes.get(header..).unwrap_or(&[]);
    let mut packet = Packet::new(Kind::Tcp)
        .with("flags", text(if letters.is_empty() { "0" } else { &letters }))
        .with("seq", number(begin))
        .with("len", number(payload.len() as i64));
    if flags & 16 != 0 {
        packet.set("ack", number(relative(word(bytes, 8), other)));
    }
    // An ICMP error quotes no more than the first eight bytes.
    if bytes.len() >= 20 {
        packet.set("win", number(half(bytes, 14)));
        options(&mut packet, bytes.get(20..header).unwrap_or(&[]), other);
    }
    if let Some(since) = since {
        packet.set("since", number(since));
    }
    packet.set("on", number(ports.0));
    packet.set("at", number(ports.1));
    let first = begin + i64::from(flags & 2 != 0) - 1;
    // A keep-alive repeats a byte, and which one does not matter (RFC 1122, 4.2.3.6).
    let whole = payload.len() > 1;
    let wrong = (first..).zip(payload).find(|(at, byte)| stream(Side::Us, *at) != **byte);
    if let Some((at, _)) = wrong.filter(|_| whole && side == Side::Us) {
        packet.set("data", text(format!("at {}", at + 1)));
    }
    packet
}

fn options(packet: &mut Packet, mut bytes: &[u8], other: u32) {
    while let [kind, rest @ ..] = bytes {
        if *kind < 2 {
            bytes = rest;
            continue;
        }
        let Some(length) =
            rest.first().filter(|length| (2..=bytes.len()).contains(&(**length).into()))
        else {
            packet.set("option", text("malformed"));
            return;
        };
        let (option, behind) = bytes.split_at((*length).into());
        match kind {
            2 => packet.set("mss", number(half(option, 2))),
            3 => packet.set("wscale", number(option[2])),
            4 => packet.set("sackok", Value::Set),
            5 => {
                let edge = |at| word(option, at).wrapping_sub(other) as i32;
                packet.set("sack", text(format!("{}:{}", edge(2), edge(6))));
            }
            other => packet.set("option", number(*other)),
        }
        bytes = behind;
    }
}

fn udp(bytes: &[u8]) -> Packet {
    Packet::new(Kind::Udp)
        .with("sport", number(half(bytes, 0)))
        .with("dport", number(half(bytes, 2)))
        .with("len", number(i64::from(half(bytes, 4)) - 8))
}

fn icmp(bytes: &[u8], numbers: &mut Numbers) -> Packet {
    let kind = bytes.first().copied().unwrap_or(0);
    let known = MESSAGES.iter().find(|(_, number, _)| *number == kind);
    let mut packet = Packet::new(Kind::Icmp)
        .with("type", known.map_or(text(kind.to_string()), |(name, ..)| text(*name)))
        .with("code", number(bytes.get(1).copied().unwrap_or(0)));
    let body = bytes.get(8..).unwrap_or(&[]);
    if kind == 0 || kind == 8 {
        packet.set("ident", number(half(bytes, 4)));
        packet.set("seq", number(half(bytes, 6)));
        packet.set("len", number(body.len() as i64));
        let wrong = (0..).zip(body).find(|(at, byte)| stream(Side::Peer, *at) != **byte);
        if let Some((at, _)) = wrong {
            packet.set("data", text(format!("at {at}")));
        }
    } else {
        packet.set("mtu", number(half(bytes, 6)));
        packet.quoted = Some(Box::new(ipv4(body, numbers, Side::Peer)));
    }
    packet
}

fn dhcp(bytes: &[u8], numbers: &mut Numbers) -> Packet {
    if let Some(transaction) = bytes.get(4..).and_then(|rest| rest.first_chunk()) {
        numbers.transaction = *transaction;
    }
    let mut packet = Packet::new(Kind::Dhcp);
    let mut rest = bytes.get(240..).unwrap_or(&[]);
    let address = |value: &[u8]| Value::Address(IpAddr::V4(v4(value, 0)));
    while let [kind, length, behind @ ..] = rest {
        let Some((value, behind)) = behind.split_at_checked((*length).into()) else { break };
        match (kind, value) {
            (53, [message, ..]) => {
                let name = DHCP_MESSAGES.get(usize::from(*message).wrapping_sub(1));
                packet.set("type", text(*name.unwrap_or(&"unknown")));
            }
            (50, value) => packet.set("requested", address(value)),
            (54, value) => packet.set("server", address(value)),
            _ => {}
        }
        rest = behind;
    }
    if word(bytes, 12) != 0 {
        packet.set("client", address(&bytes[12..16]));
    }
    if half(bytes, 10) & 0x8000 != 0 {
        packet.set("broadcast", Value::Set);
    }
    packet.set("secs", number(half(bytes, 8)));
    packet
}
