//! Frames around messages: which are taken, and why the others are not.

use crate::support::answer::Answer;
use crate::support::script::Script;
use crate::support::{MAC, sum};
use reflex_dhcp::*;

const IP: usize = 14;
const UDP: usize = 34;

fn offer() -> (Script, Vec<u8>) {
    let mut script = Script::begin();
    let discover = script.leaves(Kind::Discover);
    let frame = Answer::offer(&discover).frame();
    (script, frame)
}

/// With the header's checksum made right.
fn summed(mut frame: Vec<u8>) -> Vec<u8> {
    let end = IP + usize::from(frame[IP] & 15) * 4;
    frame[IP + 10..IP + 12].fill(0);
    let check = sum(&frame[IP..end.max(IP + 20)]);
    frame[IP + 10..IP + 12].copy_from_slice(&check.to_be_bytes());
    frame
}

fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn each_way_to_be_wrong_has_its_reason() {
    let (_script, good) = offer();
    let read = |frame: &[u8]| message(frame, MAC, UdpChecksum::Verify).map(<[u8]>::len);
    assert_eq!(read(&good), Ok(good.len() - 42));
    let at = |at, bytes: &[u8]| patched(&good, at, bytes);
    for (frame, error) in [
        (at(0, &[2, 0, 0, 0, 0, 0x43]), Error::OtherStation),
        (at(0, &[1, 0, 0x5e, 0, 0, 1]), Error::OtherStation),
        (at(12, &[8, 6]), Error::NotIpv4),
        (at(12, &[0x86, 0xdd]), Error::NotIpv4),
        (summed(at(IP, &[0x65])), Error::NotIpv4),
        (summed(at(IP, &[0x44])), Error::IpLength),
        (summed(at(IP + 2, &[0, 19])), Error::IpLength),
        (summed(at(IP + 2, &[0xff, 0xff])), Error::IpLength),
        (at(IP + 8, &[63]), Error::IpChecksum),
        (summed(at(IP + 6, &[0x20, 0])), Error::Fragment),
        (summed(at(IP + 6, &[0, 1])), Error::Fragment),
        (summed(at(IP + 9, &[6])), Error::OtherPort),
        (at(UDP + 2, &[0, 67]), Error::OtherPort),
        (at(UDP + 4, &[0, 7]), Error::UdpLength),
        (at(UDP + 4, &[0xff, 0xff]), Error::UdpLength),
        (at(UDP + 6, &[0xde, 0xad]), Error::UdpChecksum),
        (at(good.len() - 1, &[0x55]), Error::UdpChecksum),
    ] {
        assert_eq!(read(&frame), Err(error), "{frame:02x?}");
    }
    assert_eq!(read(&summed(at(IP + 6, &[0x40, 0]))), Ok(good.len() - 42), "not to be fragmented");
    assert_eq!(read(&at(UDP + 6, &[0, 0])), Ok(good.len() - 42), "no checksum (RFC 768)");
}

#[test]
fn a_frame_that_is_cut_off_anywhere_is_refused() {
    let (_script, good) = offer();
    for length in 0..good.len() {
        let error = message(&good[..length], MAC, UdpChecksum::Verify).expect_err("cut off");
        let expected = if length < IP + 20 { Error::Truncated } else { Error::IpLength };
        assert_eq!(error, expected, "{length}");
        let _ = is_for_client(&good[..length]);
    }
}

/// Behind the packet there may be anything (IEEE 802.3, 3.2.8).
#[test]
fn padding_does_not_count() {
    let (mut script, mut frame) = offer();
    frame.extend([0xaa; 40]);
    script.arrives_as(&frame);
    script.leaves(Kind::Request);
}

#[test]
fn options_of_the_packet_do_not_matter() {
    let (mut script, frame) = offer();
    let mut longer = frame[..UDP].to_vec();
    longer.extend([0x94, 4, 0, 0]);
    longer.extend(&frame[UDP..]);
    let length = (longer.len() - IP) as u16;
    let longer = patched(&longer, IP + 2, &length.to_be_bytes());
    script.arrives_as(&summed(patched(&longer, IP, &[0x46])));
    script.leaves(Kind::Request);
}

/// A frame of a program on the same computer may have none yet.
#[test]
fn a_checksum_that_the_device_has_seen_is_not_looked_at() {
    let (mut script, frame) = offer();
    let frame = patched(&frame, UDP + 6, &[0xde, 0xad]);
    script.call(|client, now, random| client.frame(&frame, UdpChecksum::Verify, now, random));
    script.silent();
    assert_eq!(script.client.counters().refused(Error::UdpChecksum), 1);
    script.call(|client, now, random| client.frame(&frame, UdpChecksum::Trust, now, random));
    script.leaves(Kind::Request);
}

#[test]
fn frames_of_others_are_told_apart_cheaply() {
    let (_script, good) = offer();
    assert!(is_for_client(&good));
    for (at, bytes) in [(12, &[8, 6][..]), (IP + 9, &[6]), (UDP + 2, &[0, 67]), (UDP + 2, &[4, 68])]
    {
        assert!(!is_for_client(&patched(&good, at, bytes)));
    }
    assert!(!is_for_client(&[]));
}
