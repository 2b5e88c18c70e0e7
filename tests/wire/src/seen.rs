//! What is to be known of a frame that came by.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::frame::{IPV4, TRANSPORT};

/// A TCP segment over IPv4 without options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its sender.
    pub from: SocketAddrV4,
    /// Its receiver.
    pub to: SocketAddrV4,
    /// Of its first byte.
    pub sequence: u32,
    /// The next byte that its sender expects, if it has the flag.
    pub acknowledgement: u32,
    /// As they are in the header.
    pub flags: u8,
    /// Bytes of text.
    pub text: usize,
}

impl Seen {
    /// The segment in a frame, if there is one.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let is_tcp = frame.get(12..15)? == [0x08, 0x00, 0x45] && frame.get(IPV4 + 9)? == &6;
        if !is_tcp || frame.len() < TRANSPORT + 20 {
            return None;
        }
        let half = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
        let end = |address: usize, port: usize| {
            SocketAddrV4::new(Ipv4Addr::from_bits(word(address)), half(port))
        };
        let headers = 20 + usize::from(frame[TRANSPORT + 12] >> 4) * 4;
        Some(Self {
            from: end(IPV4 + 12, TRANSPORT),
            to: end(IPV4 + 16, TRANSPORT + 2),
            sequence: word(TRANSPORT + 4),
            acknowledgement: word(TRANSPORT + 8),
            flags: frame[TRANSPORT + 13],
            text: usize::from(half(IPV4 + 2)).saturating_sub(headers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ends, Segment, flags};

    #[test]
    fn what_was_made_is_seen() {
        let ends = Ends { guest_mac: [2; 6], from: [10, 0, 0, 1].into(), to: [10, 0, 0, 2].into() };
        let segment = Segment {
            from: 4000,
            to: 7,
            sequence: 0x8000_0001,
            acknowledgement: 77,
            flags: flags::ACK | flags::PUSH,
            text: b"hello",
        };
        let seen = Seen::of(&ends.tcp(&segment)).expect("a segment");
        assert_eq!(seen.from, "10.0.0.1:4000".parse().unwrap());
        assert_eq!(seen.to, "10.0.0.2:7".parse().unwrap());
        assert_eq!((seen.sequence, seen.acknowledgement), (0x8000_0001, 77));
        assert_eq!((seen.flags, seen.text), (0x18, 5));
        assert_eq!(Seen::of(&ends.syn(7, 9)).map(|seen| (seen.flags, seen.text)), Some((2, 0)));
        assert_eq!(Seen::of(&ends.udp(7, b"hello")), None);
        assert_eq!(Seen::of(&ends.arp()), None);
    }
}
