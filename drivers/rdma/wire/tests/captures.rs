//! Real frames: what Linux sends is understood, and written again bit for bit.

#[path = "common/mod.rs"]
mod common;

use common::{Capture, captures};
use proptest::prelude::*;
use reflex_rdma_wire::cm::{IpHeader, Mad, Message};
use reflex_rdma_wire::*;
use std::collections::HashMap;

/// Writes the packet again, its payload in pieces of `piece` bytes.
fn again(packet: &Packet<'_>, piece: usize) -> Vec<u8> {
    let envelope = packet.datagram().envelope();
    let payload = packet.payload();
    let length = packet_length(&envelope, packet.extension(), payload.len());
    // What lies in the buffer must not matter.
    let mut buffer = vec![0xa5; length];
    let (bth, extension) = (packet.bth(), packet.extension());
    let mut emitter = Emitter::new(&mut buffer, &envelope, bth, extension, payload.len()).unwrap();
    for piece in payload.chunks(piece) {
        emitter.append(piece).unwrap();
    }
    assert_eq!(emitter.finish(), Ok(length));
    buffer
}

/// Writes the packet again, around a payload that lies elsewhere.
fn gathered(packet: &Packet<'_>) -> Vec<u8> {
    let envelope = packet.datagram().envelope();
    let payload = packet.payload();
    let mut headers = [0xa5; 128];
    let (bth, extension) = (packet.bth(), packet.extension());
    let (length, icrc) =
        emit_headers(&mut headers, &envelope, bth, extension, payload.len()).unwrap();
    let (one, two) = payload.split_at(payload.len() / 3);
    let trailer = Trailer::new(icrc.with(one).with(two), payload.len());
    [&headers[..length], payload, trailer.as_bytes()].concat()
}

#[test]
fn captures_are_written_again_bit_for_bit() {
    let mut count = 0;
    for Capture { name, packets } in captures() {
        for (number, bytes) in packets.iter().enumerate() {
            let packet = match Packet::parse(bytes) {
                Ok(packet) => packet,
                Err(error) => panic!("{name}, RoCEv2 packet {number}: {error}"),
            };
            assert_eq!(again(&packet, 4096), *bytes, "{name} {number}");
            assert_eq!(again(&packet, 7), *bytes, "{name} {number}, in pieces");
            assert_eq!(gathered(&packet), *bytes, "{name} {number}, gathered");
            // An Ethernet frame may be longer than its packet.
            let padded = [&bytes[..], &[0x5a; 18]].concat();
            assert_eq!(Packet::parse(&padded).as_ref().map(Packet::payload), Ok(packet.payload()));
            let datagram = packet.datagram();
            let route = GlobalRoute::of(datagram);
            assert_eq!(route.source(), Some(datagram.source()), "{name} {number}");
            assert_eq!(route.destination(), Some(datagram.destination()), "{name} {number}");
            count += 1;
        }
    }
    println!("{count} packets");
    if std::env::var_os("REFLEX_CAPTURES").is_none() {
        assert_eq!(count, 1477, "packets of the repository's captures");
    }
}

/// The payload of a connection message's datagram.
fn message(bytes: &[u8]) -> Option<(Packet<'_>, Mad<'_>)> {
    let packet = Packet::parse(bytes).ok()?;
    let deth = packet.extension().deth()?;
    let to_general_service = packet.bth().destination == Qpn::GENERAL_SERVICE;
    if !to_general_service || deth.key != QKey::GENERAL_SERVICE {
        return None;
    }
    Some((packet, Mad::parse(packet.payload()).expect("a connection message")))
}

#[test]
fn captures_connection_messages_are_written_again_bit_for_bit() {
    let mut kinds = HashMap::new();
    for Capture { name, packets } in captures() {
        for (number, bytes) in packets.iter().enumerate() {
            let Some((packet, mad)) = message(bytes) else { continue };
            let mut payload = [0xa5; Mad::LENGTH];
            mad.emit(&mut payload).unwrap();
            assert_eq!(payload, packet.payload(), "{name} {number}: {mad:?}");
            *kinds.entry(mad.message.attribute()).or_insert(0) += 1;
        }
    }
    println!("{kinds:?}");
    if std::env::var_os("REFLEX_CAPTURES").is_none() {
        for attribute in [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18] {
            assert!(kinds.contains_key(&attribute), "no message {attribute:#x} was seen");
        }
    }
}

/// That fields mean what they are named: what the messages announce is what then happens.
#[test]
fn captures_keep_what_their_connection_messages_announce() {
    let mut announced = 0;
    let mut met = 0;
    for Capture { name, packets } in captures() {
        // The number that requests to each queue pair will begin with.
        let mut begins: HashMap<(Gid, Qpn), Psn> = HashMap::new();
        let mut keys: HashMap<(Gid, Qpn), QKey> = HashMap::new();
        for bytes in &packets {
            let packet = Packet::parse(bytes).expect("checked by another test");
            let (from, to) = (packet.datagram().source(), packet.datagram().destination());
            if let Some((_, mad)) = message(bytes) {
                match mad.message {
                    Message::Req(req) => {
                        assert_eq!((req.primary.local, req.primary.remote), (from, to), "{name}");
                        assert_eq!(req.mtu, PathMtu::B1024, "{name}");
                        let Some((_, port)) = req.service.to_ip() else { continue };
                        assert_ne!(port, 0, "{name}");
                        let (ip, rest) = IpHeader::parse(req.private_data).expect("RDMA IP CM");
                        assert_eq!((ip.source, ip.destination), (from, to), "{name}");
                        let mut bytes = [0xa5; IpHeader::LENGTH];
                        ip.emit(&mut bytes).unwrap();
                        assert_eq!([&bytes, rest].concat(), req.private_data, "{name}");
                        begins.insert((from, req.qpn), req.psn);
                        announced += 1;
                    }
                    Message::Rep(rep) => {
                        begins.insert((from, rep.qpn), rep.psn);
                        announced += 1;
                    }
                    Message::SidrRep(rep) => {
                        keys.insert((from, rep.qpn), rep.qkey);
                        announced += 1;
                    }
                    _ => {}
                }
                continue;
            }
            let target = (to, packet.bth().destination);
            if packet.bth().opcode.is_request()
                && let Some(psn) = begins.remove(&target)
            {
                assert_eq!(packet.bth().psn, psn, "{name}");
                met += 1;
            }
            if let Some(deth) = packet.extension().deth()
                && let Some(key) = keys.remove(&target)
            {
                assert_eq!(deth.key, key, "{name}");
                met += 1;
            }
        }
    }
    println!("{announced} announced, {met} met");
    if std::env::var_os("REFLEX_CAPTURES").is_none() {
        assert!(met >= 9, "{met} of {announced}");
    }
}

/// Whether a router may change that bit of an IP packet, and so the ICRC does not cover it, nor
/// any checksum.
fn is_variant(packet: &[u8], bit: usize) -> bool {
    let byte = bit / 8;
    match packet[0] >> 4 {
        // FECN, BECN and what is reserved beside them.
        4 => byte == 28 + 4,
        // Traffic class and flow label, hop limit.
        _ => (4..32).contains(&bit) || byte == 7 || byte == 48 + 4,
    }
}

proptest! {
    #[test]
    fn captures_with_a_damaged_bit_are_refused(
        choice in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        header in any::<bool>(),
    ) {
        thread_local!(static PACKETS: Vec<Vec<u8>> =
            captures().into_iter().flat_map(|capture| capture.packets).collect());
        PACKETS.with(|packets| {
            let mut bytes = choice.get(packets).clone();
            // Most bits are payload: every other time one of the headers.
            let bit = place.index(8 * if header { bytes.len().min(60) } else { bytes.len() });
            // From the highest bit of a byte to the lowest.
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            prop_assert_eq!(Packet::parse(&bytes).is_ok(), is_variant(&bytes, bit), "bit {}", bit);
            Ok(())
        })?;
    }

    #[test]
    fn captures_cut_short_are_refused(
        choice in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
    ) {
        thread_local!(static PACKETS: Vec<Vec<u8>> =
            captures().into_iter().flat_map(|capture| capture.packets).collect());
        PACKETS.with(|packets| {
            let bytes = choice.get(packets);
            prop_assert!(Packet::parse(&bytes[..place.index(bytes.len())]).is_err());
            Ok(())
        })?;
    }
}
