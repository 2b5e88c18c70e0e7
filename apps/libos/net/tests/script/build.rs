//! From the packet of a script to the frame that arrives.

use super::names::{OUR_MAC, US};
use super::numbers::{Numbers, Side, stream};
use super::packet::{Kind, Packet, Value};
use super::packet_text::{DHCP_MESSAGES, MESSAGES, flags};
use crate::common::raw::{MAC, PEER, checksum, pseudo};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The frame of a packet; an error when the packet lacks what it must have.
pub(super) fn frame(packet: &Packet, numbers: &Numbers) -> Result<Vec<u8>, String> {
    let (kind, destination, body): ([u8; 2], _, _) = match packet.kind {
        Kind::Arp => {
            let everyone = if packet.word("type") == Some("request") { [0xff; 6] } else { OUR_MAC };
            ([8, 6], everyone, arp(packet)?)
        }
        Kind::Nd => ([0x86, 0xdd], OUR_MAC, nd(packet)?),
        Kind::Unknown | Kind::Piece => return Err("such a packet cannot arrive".to_owned()),
        _ => ([8, 0], OUR_MAC, ipv4(packet, numbers, Side::Peer)?),
    };
    let mut frame = station(packet, "via", destination).to_vec();
    frame.extend(station(packet, "source", MAC));
    frame.extend(kind);
    frame.extend(body);
    Ok(frame)
}

fn station(packet: &Packet, name: &str, usual: [u8; 6]) -> [u8; 6] {
    match packet.get(name) {
        Some(Value::Station(mac)) => *mac,
        _ => usual,
    }
}

fn address(packet: &Packet, name: &str, usual: Ipv4Addr) -> Ipv4Addr {
    match packet.get(name) {
        Some(Value::Address(IpAddr::V4(address))) => *address,
        _ => usual,
    }
}

fn address6(packet: &Packet, name: &str, usual: Ipv6Addr) -> Ipv6Addr {
    match packet.get(name) {
        Some(Value::Address(IpAddr::V6(address))) => *address,
        _ => usual,
    }
}

/// An IPv4 packet that `side` sends, whole or a part of it.
fn ipv4(packet: &Packet, numbers: &Numbers, side: Side) -> Result<Vec<u8>, String> {
    let (mut source, mut target) = (PEER, US);
    if side == Side::Us {
        (source, target) = (target, source);
    }
    let source = address(packet, "from", source);
    let target = address(packet, "to", target);
    let (protocol, mut payload) = match packet.kind {
        Kind::Tcp => (6, tcp(packet, numbers, side, (source, target))?),
        Kind::Udp => (17, udp(packet, (source, target))?),
        Kind::Dhcp => (17, dhcp(packet, numbers, (source, target))?),
        _ => (1, icmp(packet, numbers)?),
    };
    if packet.has("corrupt")
        && let Some(last) = payload.last_mut()
    {
        *last ^= 0xff;
    }
    let mut fragment = u16::from(packet.has("df")) << 14;
    if let Some(part) = packet.word("part") {
        let whole = payload.len();
        let ends = part.split_once(':').and_then(|(from, to)| {
            let ends = (from.parse::<usize>().ok()?, to.parse::<usize>().ok()?);
            (ends.0 <= ends.1 && ends.1 <= whole && ends.0 % 8 == 0).then_some(ends)
        });
        let (from, to) = ends.ok_or_else(|| format!("{part:?} is no part of {whole} bytes"))?;
        payload = payload[from..to].to_vec();
        fragment |= (from / 8) as u16 | u16::from(to < whole || packet.has("more")) << 13;
    }
    let number = |name, usual| packet.number(name).unwrap_or(usual);
    let total = (20 + payload.len()) as u16;
    let mut header = vec![0x45, number("tos", 0) as u8];
    header.extend(total.to_be_bytes());
    header.extend((number("id", 0) as u16).to_be_bytes());
    header.extend(fragment.to_be_bytes());
    header.extend([number("ttl", 64) as u8, protocol, 0, 0]);
    header.extend(source.octets());
    header.extend(target.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(payload);
    Ok(header)
}

fn tcp(
    packet: &Packet,
    numbers: &Numbers,
    side: Side,
    (source, target): (Ipv4Addr, Ipv4Addr),
) -> Result<Vec<u8>, String> {
    let begin = packet.number("seq").ok_or("a segment that arrives has a sequence number")?;
    let length = packet.number("len").unwrap_or(0) as usize;
    let ports = numbers.ports(packet);
    let (ours, theirs) = (numbers.ours(ports), numbers.theirs());
    let (own, other) = if side == Side::Peer { (theirs, ours) } else { (ours, theirs) };
    let mut options = options(packet, other)?;
    while options.len() % 4 > 0 {
        options.push(1);
    }
    let flags = packet.word("flags").and_then(flags).unwrap_or(0);
    let (local, remote) = ports;
    let (from, to) = if side == Side::Peer { (remote, local) } else { (local, remote) };
    let mut bytes = from.to_be_bytes().to_vec();
    bytes.extend(to.to_be_bytes());
    bytes.extend(word(own, begin));
    bytes.extend(packet.number("ack").map_or([0; 4], |ack| word(other, ack)));
    bytes.extend([(5 + options.len() as u8 / 4) << 4, flags]);
    bytes.extend((packet.number("win").unwrap_or(8000) as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend((packet.number("urg").unwrap_or(0) as u16).to_be_bytes());
    bytes.extend(options);
    // The first byte of a stream has number 1, that of a SYN is 0.
    let first = begin + i64::from(flags & 2 != 0) - 1;
    let junk = if packet.has("junk") { 0xff } else { 0 };
    bytes.extend((0..length as i64).map(|at| stream(side, first + at) ^ junk));
    let sum = checksum(&pseudo(source, target, 6, &bytes));
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    Ok(bytes)
}

/// A number of a stream that begins behind `base`.
fn word(base: u32, relative: i64) -> [u8; 4] {
    base.wrapping_add(relative as u32).to_be_bytes()
}

/// The options; `other` is the first number of the stream that is acknowledged.
fn options(packet: &Packet, other: u32) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if let Some(mss) = packet.number("mss") {
        bytes.extend([2, 4]);
        bytes.extend((mss as u16).to_be_bytes());
    }
    if let Some(shift) = packet.number("wscale") {
        bytes.extend([3, 3, shift as u8]);
    }
    if packet.has("sackok") {
        bytes.extend([4, 2]);
    }
    if let Some(number) = packet.number("option") {
        // One that is not known.
        bytes.extend([number as u8, 4, 0, 0]);
    }
    if let Some(block) = packet.word("sack") {
        let edges = block.split_once(':').map(|(from, to)| (from.parse(), to.parse()));
        let Some((Ok(from), Ok(to))) = edges else {
            return Err(format!("a selective acknowledgement is FROM:TO, not {block}"));
        };
        bytes.extend([5, 10]);
        bytes.extend(word(other, from));
        bytes.extend(word(other, to));
    }
    Ok(bytes)
}

fn udp(packet: &Packet, (source, target): (Ipv4Addr, Ipv4Addr)) -> Result<Vec<u8>, String> {
    let port = |name| packet.number(name).unwrap_or(0) as u16;
    let length = packet.number("len").unwrap_or(0);
    let payload: Vec<u8> = (0..length).map(|at| stream(Side::Peer, at)).collect();
    let sum = !packet.has("nosum");
    Ok(datagram((port("sport"), port("dport")), &payload, sum.then_some((source, target))))
}

fn datagram(ports: (u16, u16), payload: &[u8], between: Option<(Ipv4Addr, Ipv4Addr)>) -> Vec<u8> {
    let mut bytes = ports.0.to_be_bytes().to_vec();
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    if let Some((source, target)) = between {
        let sum = checksum(&pseudo(source, target, 17, &bytes));
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

fn icmp(packet: &Packet, numbers: &Numbers) -> Result<Vec<u8>, String> {
    let name = packet.word("type").unwrap_or("");
    let (_, kind, _) = MESSAGES.iter().find(|(known, ..)| *known == name).ok_or("no message")?;
    let number = |name| packet.number(name).unwrap_or(0);
    let mut bytes = vec![*kind, number("code") as u8, 0, 0];
    match &packet.quoted {
        Some(quoted) => {
            bytes.extend([0, 0]);
            bytes.extend((number("mtu") as u16).to_be_bytes());
            let whole = ipv4(quoted, numbers, Side::Us)?;
            // The header and 8 bytes, as RFC 792 has it.
            bytes.extend(&whole[..whole.len().min(28)]);
        }
        None => {
            bytes.extend((number("ident") as u16).to_be_bytes());
            bytes.extend((number("seq") as u16).to_be_bytes());
            bytes.extend((0..number("len")).map(|at| stream(Side::Peer, at)));
        }
    }
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    Ok(bytes)
}

fn arp(packet: &Packet) -> Result<Vec<u8>, String> {
    let request = packet.word("type") == Some("request");
    let hardware = packet.number("hardware").unwrap_or(1) as u8;
    let mut bytes = vec![0, hardware, 8, 0, 6, 4, 0, if request { 1 } else { 2 }];
    bytes.extend(station(packet, "mac", MAC));
    bytes.extend(address(packet, "sender", PEER).octets());
    bytes.extend(station(packet, "tmac", if request { [0; 6] } else { OUR_MAC }));
    bytes.extend(address(packet, "target", US).octets());
    Ok(bytes)
}

fn nd(packet: &Packet) -> Result<Vec<u8>, String> {
    let solicit = packet.word("type") == Some("solicit");
    let target = address6(packet, "target", Ipv6Addr::UNSPECIFIED);
    let letters = packet.word("flags").unwrap_or("");
    let flag = |letter, bit| if letters.contains(letter) { bit } else { 0 };
    let flags = flag('R', 0x80) | flag('S', 0x40) | flag('O', 0x20);
    let mut body = vec![if solicit { 135 } else { 136 }, 0, 0, 0, flags, 0, 0, 0];
    body.extend(target.octets());
    if let Some(Value::Station(mac)) = packet.get("mac") {
        body.extend([if solicit { 1 } else { 2 }, 1]);
        body.extend(mac);
    }
    let source = address6(packet, "from", Ipv6Addr::UNSPECIFIED);
    let destination = address6(packet, "to", Ipv6Addr::UNSPECIFIED);
    let mut pseudo = source.octets().to_vec();
    pseudo.extend(destination.octets());
    pseudo.extend((body.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(&body);
    let sum = checksum(&pseudo) ^ u16::from(packet.has("corrupt"));
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend([58, packet.number("hops").unwrap_or(255) as u8]);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend(body);
    Ok(bytes)
}

/// A server's message, which answers the client's last one.
fn dhcp(
    packet: &Packet,
    numbers: &Numbers,
    between: (Ipv4Addr, Ipv4Addr),
) -> Result<Vec<u8>, String> {
    let name = packet.word("type").unwrap_or("");
    let kind = DHCP_MESSAGES.iter().position(|known| *known == name).ok_or("no message")?;
    let mut message = vec![2, 1, 6, 0];
    let stranger = u8::from(packet.has("stranger"));
    message.extend(numbers.transaction.map(|byte| byte ^ stranger));
    message.extend([0; 8]);
    message.extend(address(packet, "yours", Ipv4Addr::UNSPECIFIED).octets());
    message.extend([0; 8]);
    message.extend(OUR_MAC);
    message.resize(236, 0);
    message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind as u8 + 1]);
    for (name, code) in [("server", 54), ("router", 3)] {
        if let Some(Value::Address(IpAddr::V4(address))) = packet.get(name) {
            message.extend([code, 4]);
            message.extend(address.octets());
        }
    }
    for (name, code) in [("lease", 51u8), ("t1", 58), ("t2", 59)] {
        if let Some(seconds) = packet.number(name) {
            message.extend([code, 4]);
            message.extend((seconds as u32).to_be_bytes());
        }
    }
    if let Some(bits) = packet.number("mask") {
        message.extend([1, 4]);
        message.extend(u32::MAX.checked_shl(32 - bits as u32).unwrap_or(0).to_be_bytes());
    }
    if let Some(mtu) = packet.number("mtu") {
        message.extend([26, 2]);
        message.extend((mtu as u16).to_be_bytes());
    }
    message.push(255);
    Ok(datagram((67, 68), &message, Some(between)))
}
