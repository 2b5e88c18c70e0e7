//! A client's frame, read as a server and its network read it: everything in it is checked.

use super::{MAC, sum};
use reflex_dhcp::Kind;
use std::net::Ipv4Addr;

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to_station: [u8; 6],
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) kind: Kind,
    pub(crate) xid: u32,
    pub(crate) secs: u16,
    pub(crate) broadcast: bool,
    pub(crate) ciaddr: Ipv4Addr,
    /// In their order.
    pub(crate) options: Vec<(u8, Vec<u8>)>,
}

impl Sent {
    pub(crate) fn read(frame: &[u8]) -> Self {
        assert_eq!(frame[6..14], [&MAC[..], &[8, 0]].concat(), "{frame:02x?}");
        let packet = &frame[14..];
        let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert_eq!((packet[0], usize::from(word(2)), packet[9]), (0x45, packet.len(), 17));
        assert_eq!(word(6), 0x4000, "whole");
        assert!(packet[8] >= 16, "lives long enough for a relay");
        assert_eq!(sum(&packet[..20]), 0, "the header's checksum");
        assert_eq!((word(20), word(22)), (68, 67), "ports");
        assert_eq!(usize::from(word(24)), packet.len() - 20);
        let pseudo = [&packet[12..20], &[0, 17], &packet[24..26], &packet[20..]].concat();
        assert_eq!(sum(&pseudo), 0, "the datagram's checksum");
        let address = |at: usize| Ipv4Addr::from(*packet[at..].first_chunk::<4>().unwrap());
        let (source, destination) = (address(12), address(16));
        Self { source, destination, ..Self::read_message(&packet[28..]) }.with_station(&frame[..6])
    }

    fn with_station(self, station: &[u8]) -> Self {
        let to_station = station.try_into().unwrap();
        assert_eq!(self.destination.is_broadcast(), to_station == [0xff; 6]);
        Self { to_station, ..self }
    }

    /// Reads the payload.
    fn read_message(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 300, "as long as BOOTP's (RFC 1542, 2.1)");
        assert_eq!(bytes[..4], [1, 1, 6, 0], "op, htype, hlen, hops");
        let address = |at: usize| Ipv4Addr::from(*bytes[at..].first_chunk::<4>().unwrap());
        assert!((16..28).step_by(4).all(|at| address(at).is_unspecified()), "yi, si, gi");
        assert_eq!(bytes[28..44], [&MAC[..], &[0; 10]].concat());
        assert!(bytes[44..236].iter().all(|byte| *byte == 0), "sname, file");
        assert_eq!(bytes[236..240], [99, 130, 83, 99]);
        assert!(matches!(bytes[10..12], [0 | 0x80, 0]), "the flags that must be zero");
        let options = read_options(&bytes[240..]);
        let kind = options.iter().find(|(code, _)| *code == 53).expect("a message type");
        Self {
            to_station: [0; 6],
            source: Ipv4Addr::UNSPECIFIED,
            destination: Ipv4Addr::UNSPECIFIED,
            kind: match kind.1[..] {
                [1] => Kind::Discover,
                [3] => Kind::Request,
                [4] => Kind::Decline,
                [7] => Kind::Release,
                [8] => Kind::Inform,
                _ => panic!("{kind:?}"),
            },
            xid: u32::from_be_bytes(*bytes[4..].first_chunk().unwrap()),
            secs: u16::from_be_bytes(*bytes[8..].first_chunk().unwrap()),
            broadcast: bytes[10] & 0x80 != 0,
            ciaddr: address(12),
            options,
        }
    }

    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| &value[..])
    }

    /// An option that holds an address.
    pub(crate) fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.option(code)?.try_into().expect("an address");
        Some(octets.into())
    }

    pub(crate) fn requested(&self) -> Option<Ipv4Addr> {
        self.address(50)
    }

    pub(crate) fn server(&self) -> Option<Ipv4Addr> {
        self.address(54)
    }
}

/// Options up to their end, none of them twice.
fn read_options(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
    loop {
        match bytes {
            [0, rest @ ..] => bytes = rest,
            [255, rest @ ..] => {
                assert!(rest.iter().all(|byte| *byte == 0), "padding");
                return options;
            }
            [code, length, rest @ ..] => {
                let (value, rest) = rest.split_at((*length).into());
                assert!(options.iter().all(|(other, _)| other != code), "twice: {code}");
                options.push((*code, value.to_vec()));
                bytes = rest;
            }
            _ => panic!("no end: {bytes:02x?}"),
        }
    }
}
