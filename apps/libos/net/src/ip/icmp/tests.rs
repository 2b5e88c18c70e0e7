//! Reports, and what is none.

use super::*;
use crate::ip::checksum::Sum;
use proptest::prelude::*;
use std::vec::Vec;

/// A frame to 10.0.0.1 with an error about `quoted`.
fn message(kind: u8, code: u8, mtu: u16, quoted: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![kind, code, 0, 0, 0, 0];
    bytes.extend(mtu.to_be_bytes());
    bytes.extend(quoted);
    let sum = Sum::ZERO.bytes(&bytes).finish();
    bytes[2..4].copy_from_slice(&sum);
    let mut frame = std::vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((20 + bytes.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 99, 10, 0, 0, 1]);
    frame.extend(bytes);
    frame
}

/// The head of a segment of ours to port 80 of 192.0.2.7.
fn segment() -> Vec<u8> {
    let mut quoted = std::vec![0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 6, 0, 0];
    quoted.extend([10, 0, 0, 1, 192, 0, 2, 7, 0xc0, 0, 0, 80, 1, 2, 3, 4]);
    quoted
}

#[test]
fn an_error_names_the_packet_that_it_is_about() {
    let report = report(&message(3, 4, 1400, &segment())).unwrap();
    let expected = Report {
        why: Unreachable::TooLong,
        mtu: 1400,
        protocol: TCP,
        local: 0x0a00_0001,
        local_port: 0xc000,
        remote: 0xc000_0207,
        remote_port: 80,
        length: 1500,
        sequence: 0x0102_0304,
    };
    assert_eq!(report, expected);
}

#[test]
fn every_code_has_its_meaning() {
    let hard = [2, 3, 9, 10, 13, 14, 15];
    for code in 0..=15 {
        let report = report(&message(3, code, 0, &segment())).unwrap();
        assert_eq!(report.why.is_hard(), hard.contains(&code), "{code}");
    }
    for (kind, code, expected) in [
        (3, 16, None),
        (4, 0, None),
        (5, 1, None),
        (11, 0, Some(Unreachable::Expired)),
        (11, 1, Some(Unreachable::Expired)),
        (12, 0, Some(Unreachable::Malformed)),
        (8, 0, None),
    ] {
        let said = report(&message(kind, code, 0, &segment())).map(|report| report.why);
        assert_eq!(said, expected, "{kind} {code}");
    }
}

#[test]
fn what_is_cut_off_or_of_other_protocols_says_nothing() {
    for length in 0..segment().len() {
        assert_eq!(report(&message(3, 3, 0, &segment()[..length])), None);
    }
    let changed = |at: usize, byte: u8| {
        let mut quoted = segment();
        quoted[at] = byte;
        report(&message(3, 3, 0, &quoted))
    };
    assert_eq!(changed(9, 1), None, "ICMP");
    assert_eq!(changed(0, 0x65), None, "another version");
    assert_eq!(changed(0, 0x44), None, "a short header");
    assert_eq!(changed(0, 0x46), None, "options, and then too little");
    assert_eq!(changed(7, 1), None, "a later fragment");
    assert!(changed(6, 0x20).is_some(), "the first fragment has ports");
    let mut damaged = message(3, 3, 0, &segment());
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(report(&damaged), None);
}

proptest! {
    #[test]
    fn any_bytes_are_a_report_or_none(kind in 0u8..16, code: u8, quoted in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(report) = report(&message(kind, code, 0, &quoted)) {
            prop_assert!(quoted.len() >= 28);
            prop_assert!(matches!(report.protocol, TCP | UDP));
        }
    }
}
