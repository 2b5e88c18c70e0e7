//! Frames made by hand, independently of the code under test.

use std::net::Ipv4Addr;
// Part of a `no_std` crate's own tests too.
use std::vec;
use std::vec::Vec;

pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 99];
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// The Internet checksum, by its definition.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An Ethernet frame to `to` with an IPv4 packet of `protocol` from [`PEER`].
pub fn ipv4(
    to: [u8; 6],
    source: Ipv4Addr,
    target: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(to);
    frame.extend(MAC);
    frame.extend([8, 0]);
    let mut header = vec![0x45, 0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(source.octets());
    header.extend(target.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame.extend(payload);
    frame
}

pub fn pseudo(source: Ipv4Addr, target: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = source.octets().to_vec();
    bytes.extend(target.octets());
    bytes.extend([0, protocol]);
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub source: u16,
    pub target: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    pub window: u16,
    /// Padded to words.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Segment {
    pub fn new(source: u16, target: u16, flags: u8, sequence: u32, acknowledgement: u32) -> Self {
        let (options, payload) = (Vec::new(), Vec::new());
        Self { source, target, sequence, acknowledgement, flags, window: 8000, options, payload }
    }

    pub fn with(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    pub fn frame_from(&self, source: Ipv4Addr, mac: [u8; 6], target: Ipv4Addr) -> Vec<u8> {
        let mut bytes = self.source.to_be_bytes().to_vec();
        bytes.extend(self.target.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([0x50 + self.options.len() as u8 * 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        let sum = checksum(&pseudo(source, target, 6, &bytes));
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        ipv4(mac, source, target, 6, &bytes)
    }

    /// As a frame from [`PEER`].
    pub fn frame(&self, mac: [u8; 6], target: Ipv4Addr) -> Vec<u8> {
        self.frame_from(PEER, mac, target)
    }

    /// The segment in a frame, checksums verified; `None` when it is something else.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if frame.get(12..14)? != [8, 0] || frame.get(14)? != &0x45 || frame.get(23)? != &6 {
            return None;
        }
        assert_eq!(checksum(&frame[14..34]), 0, "the IPv4 checksum is wrong");
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        assert_eq!(frame.len(), 14 + total);
        let source = Ipv4Addr::new(frame[26], frame[27], frame[28], frame[29]);
        let target = Ipv4Addr::new(frame[30], frame[31], frame[32], frame[33]);
        let tcp = &frame[34..];
        assert_eq!(checksum(&pseudo(source, target, 6, tcp)), 0, "the TCP checksum is wrong");
        let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_be_bytes(tcp[at..at + 2].try_into().unwrap());
        Some(Self {
            source: half(0),
            target: half(2),
            sequence: word(4),
            acknowledgement: word(8),
            flags: tcp[13],
            window: half(14),
            options: tcp[20..usize::from(tcp[12] >> 4) * 4].to_vec(),
            payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
        })
    }
}

/// All segments among `frames`.
pub fn segments(frames: &[Vec<u8>]) -> Vec<Segment> {
    frames.iter().filter_map(|frame| Segment::parse(frame)).collect()
}

/// A UDP datagram from [`PEER`].
pub fn udp(mac: [u8; 6], target: Ipv4Addr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    udp_from(PEER, mac, target, ports, payload)
}

pub fn udp_from(
    source: Ipv4Addr,
    mac: [u8; 6],
    target: Ipv4Addr,
    ports: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = ports.0.to_be_bytes().to_vec();
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    let sum = checksum(&pseudo(source, target, 17, &bytes));
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv4(mac, source, target, 17, &bytes)
}

/// An ICMP echo request from [`PEER`].
pub fn echo_request(mac: [u8; 6], target: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    bytes.extend(data);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv4(mac, PEER, target, 1, &bytes)
}

/// An ARP packet; `to` is the frame's destination.
pub fn arp(
    to: [u8; 6],
    operation: u8,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(sender.0);
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(sender.0);
    frame.extend(sender.1.octets());
    frame.extend(target.0);
    frame.extend(target.1.octets());
    frame
}

/// [`PEER`] asks for `target`, and so makes itself known.
pub fn introduce(target: Ipv4Addr) -> Vec<u8> {
    arp([0xff; 6], 1, (MAC, PEER), ([0; 6], target))
}
