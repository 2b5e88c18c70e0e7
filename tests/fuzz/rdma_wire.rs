//! Bytes as RoCEv2 packets and as connection messages. What is read is written so that it is read
//! the same, and the second writing is the first.
//!
//! Lengths and checks that random bytes would never get right are set right first, unless the bytes
//! say otherwise; the ICRC is reckoned here once more, from its definition.

use bolero::check;
use reflex_rdma_wire::cm::{IpHeader, Mad, Message};
use reflex_rdma_wire::*;
use std::time::Duration;

mod dice;

use dice::Bytes;

const AS_A_TEST: Duration = Duration::from_secs(3);
/// Bytes of the longest packet.
const LONGEST: usize = 6000;

#[test]
fn rdma_wire() {
    let bytes = dice::bytes(2 * LONGEST);
    check!().with_generator(bytes).with_test_time(AS_A_TEST).for_each(|bytes: &Vec<u8>| {
        let mut dice = Bytes::new(bytes);
        match dice.below(8) {
            0 => packet(dice.take(LONGEST)),
            1 => message(dice.take(LONGEST)),
            2 | 3 => {
                let plan = dice.array();
                let mut payload = [0; Mad::LENGTH];
                let rest = dice.take(Mad::LENGTH);
                payload[..rest.len()].copy_from_slice(rest);
                mend_message(plan, &mut payload);
                message(&payload);
            }
            choice => {
                let plan = dice.array();
                let mut bytes = dice.take(LONGEST).to_vec();
                mend_packet(choice % 2 == 0, plan, &mut bytes);
                packet(&bytes);
            }
        }
    });
}

/// Reads a packet; if it is one, writes it again.
fn packet(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else {
        // What can be said without reading it all does no harm, either.
        let _ = is_roce(bytes);
        return;
    };
    assert!(is_roce(bytes), "a packet, but not to be taken for one");
    let first = written(&packet);
    let again = Packet::parse(&first).expect("what is written can be read");
    assert_eq!(again.datagram().envelope(), packet.datagram().envelope());
    assert_eq!((again.bth(), again.extension()), (packet.bth(), packet.extension()));
    assert_eq!(again.payload(), packet.payload());
    assert_eq!(written(&again), first);
    // A receiver sees the same addresses in front of a datagram.
    let route = GlobalRoute::of(packet.datagram());
    assert_eq!(route.source(), Some(packet.datagram().source()));
    assert_eq!(route.destination(), Some(packet.datagram().destination()));
    if packet.bth().destination == Qpn::GENERAL_SERVICE {
        message(packet.payload());
    }
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    let (envelope, extension) = (packet.datagram().envelope(), packet.extension());
    let payload = packet.payload();
    let mut buffer = vec![0xa5; packet_length(&envelope, extension, payload.len())];
    let mut emitter =
        Emitter::new(&mut buffer, &envelope, packet.bth(), extension, payload.len()).expect("read");
    emitter.append(payload).expect("room");
    assert_eq!(emitter.finish().expect("whole"), buffer.len());
    buffer
}

/// Reads a connection message; if it is one, writes it again.
fn message(bytes: &[u8]) {
    let Ok(mad) = Mad::parse(bytes) else { return };
    let mut first = [0xa5; Mad::LENGTH];
    mad.emit(&mut first).expect("what was read can be written");
    let again = Mad::parse(&first).expect("what is written can be read");
    assert_eq!(again, mad);
    let mut second = [0x5a; Mad::LENGTH];
    again.emit(&mut second).expect("what was read can be written");
    assert_eq!(second, first);
    let private_data = match &mad.message {
        Message::Req(req) => req.private_data,
        Message::SidrReq(req) => req.private_data,
        _ => return,
    };
    let Ok((header, rest)) = IpHeader::parse(private_data) else { return };
    let mut bytes = [0xa5; IpHeader::LENGTH];
    // Addresses of two families that pass for one cannot be written.
    if header.emit(&mut bytes).is_ok() {
        assert_eq!(IpHeader::parse(&[&bytes, rest].concat()), Ok((header, rest)));
    }
}

/// What is not set right: mostly nothing.
fn left_wrong(plan: u8) -> u8 {
    if plan < 0xc0 { 0 } else { plan }
}

/// Makes the bytes the beginning of a message.
fn mend_message([plan, attribute]: [u8; 2], payload: &mut [u8; Mad::LENGTH]) {
    let plan = left_wrong(plan);
    if plan & 1 == 0 {
        payload[..4].copy_from_slice(&[1, 7, 2, 3]);
    }
    if plan & 2 == 0 {
        payload[16..18].copy_from_slice(&[0, 0x10 + attribute % 9]);
    }
}

/// Makes the bytes a packet, as far as `plan` does not leave it: version, lengths, protocol, port, opcode,
/// checksums, ICRC.
fn mend_packet(is_v6: bool, [plan, opcode, pad]: [u8; 3], bytes: &mut Vec<u8>) {
    let plan = left_wrong(plan);
    let ip = if is_v6 { 40 } else { 20 };
    let least = ip + 8 + 12 + 4;
    if bytes.len() < least {
        bytes.resize(least, 0);
    }
    if plan & 1 == 0 {
        bytes.truncate(bytes.len() & !3);
    }
    let (whole, udp) = (bytes.len(), bytes.len() - ip);
    if is_v6 {
        bytes[0] = 0x60 | bytes[0] & 15;
        bytes[4..6].copy_from_slice(&(udp as u16).to_be_bytes());
        bytes[6] = 17;
    } else {
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&(whole as u16).to_be_bytes());
        bytes[6] &= 0x40;
        bytes[7] = 0;
        bytes[9] = 17;
        bytes[10..12].fill(0);
        let sum: u32 = bytes[..20]
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        bytes[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    }
    bytes[ip + 2..ip + 4].copy_from_slice(&UDP_PORT.to_be_bytes());
    bytes[ip + 4..ip + 6].copy_from_slice(&(udp as u16).to_be_bytes());
    if plan & 2 == 0 {
        bytes[ip + 6..ip + 8].fill(0);
    }
    let bth = ip + 8;
    if plan & 4 == 0 {
        bytes[bth] = Opcode::ALL[usize::from(opcode) % Opcode::ALL.len()].bits();
        bytes[bth + 1] = bytes[bth + 1] & 0xc0 | (pad & 3) << 4;
    }
    if plan & 8 == 0 {
        let icrc = icrc(is_v6, &bytes[..whole - 4]);
        bytes[whole - 4..].copy_from_slice(&icrc);
    }
}

/// The invariant CRC of everything before it: that of Ethernet over eight bytes of ones and the
/// packet, with ones where routers may change it.
fn icrc(is_v6: bool, packet: &[u8]) -> [u8; 4] {
    let mut covered = packet.to_vec();
    if is_v6 {
        covered[0] |= 15;
        covered[1..4].fill(0xff);
        covered[7] = 0xff;
    } else {
        covered[1] = 0xff;
        covered[8] = 0xff;
        covered[10..12].fill(0xff);
    }
    let udp = if is_v6 { 40 } else { 20 };
    covered[udp + 6..udp + 8].fill(0xff);
    covered[udp + 8 + 4] = 0xff;
    let mut crc = u32::MAX;
    for byte in [0xff; 8].iter().chain(&covered) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    (!crc).to_le_bytes()
}
