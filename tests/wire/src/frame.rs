//! Frames: right in every checksum, whatever they say.

use std::net::Ipv4Addr;

/// The ends of a frame.
#[derive(Clone, Copy)]
pub struct Ends {
    /// The station that a frame is for.
    pub guest_mac: [u8; 6],
    /// The sender of the packet in it, as it says.
    pub from: Ipv4Addr,
    /// The receiver.
    pub to: Ipv4Addr,
}

/// Where the IPv4 header is in a frame.
pub const IPV4: usize = 14;
/// Where what is behind that is, without options.
pub const TRANSPORT: usize = IPV4 + 20;

const OUR_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// The flags of a segment (RFC 9293, 3.1).
pub mod flags {
    /// No more from the sender.
    pub const FIN: u8 = 0x01;
    /// The number is the first.
    pub const SYN: u8 = 0x02;
    /// There is no such connection.
    pub const RESET: u8 = 0x04;
    /// To be handed on.
    pub const PUSH: u8 = 0x08;
    /// The acknowledgement counts.
    pub const ACK: u8 = 0x10;
}

/// A TCP segment without options.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The sender's port.
    pub from: u16,
    /// The receiver's.
    pub to: u16,
    /// Of its first byte.
    pub sequence: u32,
    /// The next byte that is expected.
    pub acknowledgement: u32,
    /// Of [`flags`].
    pub flags: u8,
    /// What it carries.
    pub text: &'a [u8],
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// The packet's, of its sender.
    pub identification: u16,
    /// Where it begins, in units of eight bytes.
    pub offset: u16,
    /// Whether it is not the last.
    pub more: bool,
}

impl Ends {
    fn ethernet(&self, kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.guest_mac.to_vec();
        frame.extend(OUR_MAC);
        frame.extend(kind.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn ipv4(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let whole = Fragment { identification: 0x1234, offset: 0, more: false };
        self.fragment(protocol, whole, payload)
    }

    /// A fragment of a packet of this protocol.
    pub fn fragment(&self, protocol: u8, part: Fragment, payload: &[u8]) -> Vec<u8> {
        let length = (20 + payload.len()) as u16;
        let place = part.offset | u16::from(part.more) << 13;
        let mut header = vec![0x45, 0];
        header.extend(length.to_be_bytes());
        header.extend(part.identification.to_be_bytes());
        header.extend(place.to_be_bytes());
        header.extend([64, protocol, 0, 0]);
        header.extend(self.from.octets());
        header.extend(self.to.octets());
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend(payload);
        self.ethernet(0x0800, &header)
    }

    fn with_sum(&self, protocol: u8, mut segment: Vec<u8>, at: usize) -> Vec<u8> {
        let length = (segment.len() as u16).to_be_bytes();
        let pseudo = [0, protocol, length[0], length[1]];
        let sum = checksum(&[&self.from.octets(), &self.to.octets(), &pseudo, &segment]);
        segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(protocol, &segment)
    }

    /// An opening segment (SYN) with a maximum segment size option.
    pub fn syn(&self, port: u16, sequence: u32) -> Vec<u8> {
        let mut segment = 40_000u16.to_be_bytes().to_vec();
        segment.extend(port.to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend([0, 0, 0, 0, 6 << 4, 0x02, 0x10, 0, 0, 0, 0, 0, 2, 4, 0x05, 0xb4]);
        self.with_sum(6, segment, 16)
    }

    /// A segment with a window of 4,096 bytes.
    pub fn tcp(&self, segment: &Segment<'_>) -> Vec<u8> {
        let mut bytes = segment.from.to_be_bytes().to_vec();
        bytes.extend(segment.to.to_be_bytes());
        bytes.extend(segment.sequence.to_be_bytes());
        bytes.extend(segment.acknowledgement.to_be_bytes());
        bytes.extend([5 << 4, segment.flags, 0x10, 0, 0, 0, 0, 0]);
        bytes.extend(segment.text);
        self.with_sum(6, bytes, 16)
    }

    /// A datagram.
    pub fn udp(&self, port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = 40_001u16.to_be_bytes().to_vec();
        datagram.extend(port.to_be_bytes());
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        self.with_sum(17, datagram, 6)
    }

    /// An echo request.
    pub fn ping(&self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![8, 0, 0, 0, 0, 1, 0, 1];
        message.extend(payload);
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(1, &message)
    }

    /// A question for the guest's hardware address.
    pub fn arp(&self) -> Vec<u8> {
        self.arp_of(1, OUR_MAC)
    }

    /// An ARP packet (1: a question, 2: an answer) that says of its sender's address that it is this station's.
    pub fn arp_of(&self, operation: u8, station: [u8; 6]) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
        packet.extend(station);
        packet.extend(self.from.octets());
        packet.extend([0; 6]);
        packet.extend(self.to.octets());
        self.ethernet(0x0806, &packet)
    }
}

/// Writes `bytes` at `at`, and makes the IPv4 header's checksum right again.
pub fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame[IPV4 + 10..IPV4 + 12].fill(0);
    let sum = checksum(&[&frame[IPV4..TRANSPORT]]);
    frame[IPV4 + 10..IPV4 + 12].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The Internet checksum (RFC 1071) of parts, all but the last of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
