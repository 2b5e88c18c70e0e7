//! The tables and the arithmetic of the specification, listed here a second time.

use proptest::prelude::*;
use reflex_rdma_wire::*;
use std::time::Duration;

/// Opcode byte, name, bytes of extension headers.
const OPCODES: &[(u8, &str, usize)] = &[
    (0x00, "RcSendFirst", 0),
    (0x01, "RcSendMiddle", 0),
    (0x02, "RcSendLast", 0),
    (0x03, "RcSendLastImmediate", 4),
    (0x04, "RcSendOnly", 0),
    (0x05, "RcSendOnlyImmediate", 4),
    (0x06, "RcWriteFirst", 16),
    (0x07, "RcWriteMiddle", 0),
    (0x08, "RcWriteLast", 0),
    (0x09, "RcWriteLastImmediate", 4),
    (0x0a, "RcWriteOnly", 16),
    (0x0b, "RcWriteOnlyImmediate", 20),
    (0x0c, "RcReadRequest", 16),
    (0x0d, "RcReadResponseFirst", 4),
    (0x0e, "RcReadResponseMiddle", 0),
    (0x0f, "RcReadResponseLast", 4),
    (0x10, "RcReadResponseOnly", 4),
    (0x11, "RcAcknowledge", 4),
    (0x12, "RcAtomicAcknowledge", 12),
    (0x13, "RcCompareSwap", 28),
    (0x14, "RcFetchAdd", 28),
    (0x16, "RcSendLastInvalidate", 4),
    (0x17, "RcSendOnlyInvalidate", 4),
    (0x20, "UcSendFirst", 0),
    (0x21, "UcSendMiddle", 0),
    (0x22, "UcSendLast", 0),
    (0x23, "UcSendLastImmediate", 4),
    (0x24, "UcSendOnly", 0),
    (0x25, "UcSendOnlyImmediate", 4),
    (0x26, "UcWriteFirst", 16),
    (0x27, "UcWriteMiddle", 0),
    (0x28, "UcWriteLast", 0),
    (0x29, "UcWriteLastImmediate", 4),
    (0x2a, "UcWriteOnly", 16),
    (0x2b, "UcWriteOnlyImmediate", 20),
    (0x64, "UdSendOnly", 8),
    (0x65, "UdSendOnlyImmediate", 12),
];

#[test]
fn opcodes_are_those_of_the_specification() {
    assert_eq!(Opcode::ALL.len(), OPCODES.len());
    for bits in 0..=0xff {
        let listed = OPCODES.iter().find(|(listed, ..)| *listed == bits);
        let Some(opcode) = Opcode::from_bits(bits) else {
            assert!(listed.is_none(), "{bits:#x}");
            continue;
        };
        let (_, name, length) = listed.expect("listed");
        assert_eq!(opcode.bits(), bits);
        assert_eq!(format!("{opcode:?}"), *name);
        assert_eq!(opcode.layout().length(), *length, "{name}");
    }
}

/// The rest of the table follows from the names.
#[test]
fn opcodes_are_what_their_names_say() {
    for &opcode in Opcode::ALL {
        let name = format!("{opcode:?}");
        let has = |part: &str| name.contains(part);
        let transport = match &name[..2] {
            "Rc" => Transport::Reliable,
            "Uc" => Transport::Unreliable,
            _ => Transport::Datagram,
        };
        assert_eq!(opcode.transport(), transport, "{name}");
        let operations = [
            ("Send", Operation::Send),
            ("Write", Operation::Write),
            ("ReadRequest", Operation::ReadRequest),
            ("ReadResponse", Operation::ReadResponse),
            ("RcAcknowledge", Operation::Acknowledge),
            ("AtomicAcknowledge", Operation::AtomicAcknowledge),
            ("CompareSwap", Operation::CompareSwap),
            ("FetchAdd", Operation::FetchAdd),
        ];
        let operation = operations.into_iter().find(|(part, _)| has(part)).expect("an operation").1;
        assert_eq!(opcode.operation(), operation, "{name}");
        let positions =
            [("First", Position::First), ("Middle", Position::Middle), ("Last", Position::Last)];
        let position = positions.into_iter().find(|(part, _)| has(part));
        let position = position.map_or(Position::Only, |(_, position)| position);
        assert_eq!(opcode.position(), position, "{name}");
        let notice = match (has("Immediate"), has("Invalidate")) {
            (true, _) => Notice::Immediate,
            (_, true) => Notice::Invalidate,
            _ => Notice::None,
        };
        assert_eq!(opcode.notice(), notice, "{name}");

        let is_response = has("Response") || has("Acknowledge");
        assert_eq!((opcode.is_response(), opcode.is_request()), (is_response, !is_response));
        assert_eq!(opcode.has_response(), has("ReadRequest") || has("Compare") || has("Fetch"));
        let has_payload = has("Send") || has("Write") || has("ReadResponse");
        assert_eq!(opcode.has_payload(), has_payload, "{name}");
        assert_eq!(opcode.consumes_receive(), has("Send") || has("Write") && has("Immediate"));
        let rule = match position {
            _ if !has_payload => PayloadRule::None,
            Position::First | Position::Middle => PayloadRule::Full,
            Position::Last => PayloadRule::Rest,
            Position::Only => PayloadRule::Any,
        };
        assert_eq!(opcode.payload_rule(), rule, "{name}");

        match operation {
            Operation::Send => {
                assert_eq!(Opcode::send(transport, position, notice), Some(opcode), "{name}");
            }
            Operation::Write => {
                assert_eq!(Opcode::write(transport, position, notice), Some(opcode), "{name}");
            }
            Operation::ReadResponse => assert_eq!(Opcode::read_response(position), opcode),
            _ => {}
        }
    }
}

#[test]
fn transports_have_no_more_than_theirs() {
    use Position::*;
    for position in [First, Middle, Last, Only] {
        for notice in [Notice::None, Notice::Immediate, Notice::Invalidate] {
            for transport in [Transport::Reliable, Transport::Unreliable, Transport::Datagram] {
                let send = Opcode::send(transport, position, notice);
                let late = position.ends() || notice == Notice::None;
                let has = match transport {
                    Transport::Reliable => late,
                    Transport::Unreliable => late && notice != Notice::Invalidate,
                    Transport::Datagram => position == Only && notice != Notice::Invalidate,
                };
                assert_eq!(send.is_some(), has, "{transport:?} {position:?} {notice:?}");
                let write = Opcode::write(transport, position, notice);
                let has = late && notice != Notice::Invalidate && transport != Transport::Datagram;
                assert_eq!(write.is_some(), has, "{transport:?} {position:?} {notice:?}");
                for opcode in [send, write].into_iter().flatten() {
                    assert_eq!((opcode.transport(), opcode.position()), (transport, position));
                    assert_eq!(opcode.notice(), notice);
                }
            }
            assert_eq!(position.begins(), matches!(position, First | Only));
        }
    }
}

#[test]
fn credits_are_those_of_the_specification() {
    const COUNTS: [u32; 31] = [
        0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536,
        2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768,
    ];
    for (code, count) in COUNTS.into_iter().enumerate() {
        let credits = Credits::from_code(code as u8);
        assert_eq!(credits.count(), Some(count));
        assert_eq!(Credits::for_count(count), credits);
        assert_eq!(
            Credits::for_count(count + 1).count(),
            Some(if count < 4 { count + 1 } else { count })
        );
    }
    assert_eq!(Credits::UNLIMITED.count(), None);
    assert_eq!(Credits::for_count(u32::MAX).count(), Some(32768));
}

#[test]
fn rnr_timers_are_those_of_the_specification() {
    /// Hundredths of a millisecond.
    const TIMES: [u64; 32] = [
        65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
        1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
    ];
    for (code, time) in TIMES.into_iter().enumerate() {
        let timer = RnrTimer::from_code(code as u8);
        assert_eq!(timer.duration(), Duration::from_micros(10 * time));
        assert_eq!(RnrTimer::at_least(timer.duration()), timer);
        let less = timer.duration() - Duration::from_micros(1);
        assert_eq!(RnrTimer::at_least(less), timer);
    }
    assert_eq!(RnrTimer::at_least(Duration::from_secs(1)).code(), 0);
}

#[test]
fn acknowledge_timeouts_are_powers_of_two() {
    assert_eq!(AckTimeout::from_code(0).duration(), None);
    assert_eq!(AckTimeout::from_code(1).duration(), Some(Duration::from_nanos(8192)));
    assert_eq!(AckTimeout::from_code(14).duration(), Some(Duration::from_nanos(67_108_864)));
    assert_eq!(AckTimeout::from_code(31).duration(), Some(Duration::from_nanos(4096 << 31)));
}

#[test]
fn syndromes_are_those_of_the_specification() {
    let unlimited = Syndrome::Ack(Credits::UNLIMITED);
    assert_eq!(Syndrome::from_bits(0x1f), Some(unlimited));
    let timer = Syndrome::ReceiverNotReady(RnrTimer::from_code(20));
    assert_eq!(Syndrome::from_bits(0x34), Some(timer));
    for (bits, nak) in [
        (0x60, Nak::SequenceError),
        (0x61, Nak::InvalidRequest),
        (0x62, Nak::RemoteAccessError),
        (0x63, Nak::RemoteOperationalError),
        (0x64, Nak::InvalidRdRequest),
    ] {
        assert_eq!(Syndrome::from_bits(bits), Some(Syndrome::Nak(nak)));
    }
    for bits in 0..=0xff {
        let reserved = bits >= 0x80 || (0x40..0x60).contains(&bits) || (0x65..0x80).contains(&bits);
        let syndrome = Syndrome::from_bits(bits);
        assert_eq!(syndrome.is_none(), reserved, "{bits:#x}");
        assert_eq!(syndrome.map_or(bits, Syndrome::bits), bits);
    }
}

#[test]
fn path_mtus() {
    let bytes = [256, 512, 1024, 2048, 4096];
    for (mtu, bytes) in PathMtu::ALL.into_iter().zip(bytes) {
        assert_eq!(mtu.bytes(), bytes);
        assert_eq!(PathMtu::from_code(mtu.code()), Some(mtu));
        let length = bytes as u32;
        for (length, packets) in [(0, 1), (1, 1), (length, 1), (length + 1, 2), (3 * length, 3)] {
            assert_eq!(mtu.packets(length), packets, "{length} bytes by {mtu:?}");
        }
        assert_eq!(mtu.packets(u32::MAX), (u64::from(u32::MAX).div_ceil(bytes as u64)) as u32);
    }
    for code in [0, 6, 7, 15, 255] {
        assert_eq!(PathMtu::from_code(code), None);
    }
    // As Linux chooses for these Ethernet MTUs.
    assert_eq!(PathMtu::fitting(1500), Some(PathMtu::B1024));
    assert_eq!(PathMtu::fitting(4200), Some(PathMtu::B4096));
    assert_eq!(PathMtu::fitting(4096 + 84), Some(PathMtu::B4096));
    assert_eq!(PathMtu::fitting(4096 + 83), Some(PathMtu::B2048));
    assert_eq!(PathMtu::fitting(300), None);
}

#[test]
fn partition_keys_match_unless_both_are_limited() {
    let key = |key| PKey(key);
    assert!(PKey::DEFAULT.matches(PKey::DEFAULT));
    assert!(PKey::DEFAULT.matches(key(0x7fff)) && key(0x7fff).matches(PKey::DEFAULT));
    assert!(!key(0x7fff).matches(key(0x7fff)));
    assert!(!PKey::DEFAULT.matches(key(0x1234)) && !PKey::DEFAULT.matches(key(0)));
    assert!(!key(0x8000).matches(key(0x8000)));
}

#[test]
fn addresses_are_of_one_family_or_the_other() {
    let v4: std::net::IpAddr = "10.1.2.3".parse().unwrap();
    let v6: std::net::IpAddr = "fd00::1".parse().unwrap();
    for ip in [v4, v6] {
        let gid = Gid::from(ip);
        assert_eq!((gid.to_ip(), gid.to_string()), (ip, ip.to_string()));
        assert_eq!(gid.ipv4_bytes().is_some(), ip.is_ipv4());
    }
    assert_eq!(Gid::from(v4).to_bytes()[10..], [0xff, 0xff, 10, 1, 2, 3]);
}

proptest! {
    /// Numbers on a line that is 2^24 long, somewhere on a longer one.
    #[test]
    fn sequence_numbers_wrap(start: u32, steps in -(1i64 << 23)..1 << 23) {
        let here = Psn::new(start);
        let wrapped = (i64::from(here.get()) + steps).rem_euclid(1 << 24) as u32;
        let there = Psn::new(wrapped);
        prop_assert_eq!(there.get(), wrapped);
        prop_assert_eq!(i64::from(there.signed_since(here)), steps);
        prop_assert_eq!(i64::from(there.since(here)), steps.rem_euclid(1 << 24));
        if steps >= 0 {
            prop_assert_eq!(here.plus(steps as u32), there);
        } else {
            prop_assert_eq!(here.minus(-steps as u32), there);
        }
        // Exactly half-way round there is no order.
        let ordered = steps != -(1 << 23);
        prop_assert_eq!(here.is_before(there), steps > 0);
        prop_assert_eq!(here.is_after(there), steps < 0 && ordered);
        prop_assert_eq!(here.next().since(here), 1);
        prop_assert_eq!(here.previous().next(), here);
    }
}

#[test]
fn sequence_numbers_are_24_bits() {
    assert_eq!(Psn::new(0x1234_5678).get(), 0x34_5678);
    assert_eq!(Psn::new(0xff_ffff).next(), Psn::new(0));
    assert_eq!(Qpn::new(0x0100_0011), Qpn::new(0x11));
    assert!(Psn::new(0xff_ffff).is_before(Psn::new(0)));
}
