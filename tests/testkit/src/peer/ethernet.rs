//! Ethernet under the peer's IP: headers, and the answers to questions for its hardware address.

use core::net::Ipv4Addr;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant as Time;
use std::collections::VecDeque;

const HEADER: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];
const BROADCAST: [u8; 6] = [0xff; 6];
/// Ethernet, IPv4, and the lengths of their addresses (RFC 826).
const ARP_OF_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// The peer's side of the wire.
pub(super) struct Port {
    mac: [u8; 6],
    address: Ipv4Addr,
    /// The hardware address at the other end, once it is known.
    other: [u8; 6],
    /// Packets for the stack.
    received: VecDeque<Vec<u8>>,
    /// Frames to be sent.
    sent: VecDeque<Vec<u8>>,
}

impl Port {
    pub(super) fn new(mac: [u8; 6], address: Ipv4Addr) -> Self {
        let (received, sent) = (VecDeque::new(), VecDeque::new());
        Self { mac, address, other: BROADCAST, received, sent }
    }

    /// Takes a frame, if it is for this host.
    pub(super) fn receive(&mut self, frame: &[u8]) {
        let Some((header, payload)) = frame.split_at_checked(HEADER) else { return };
        let (to, rest) = header.split_at(6);
        if to != self.mac && to[0] & 1 == 0 {
            return;
        }
        let (from, kind) = rest.split_at(6);
        if kind == IPV4 {
            self.other.copy_from_slice(from);
            self.received.push_back(payload.to_vec());
        } else if kind == ARP {
            self.answer(payload);
        }
    }

    /// Answers a question for the hardware address.
    fn answer(&mut self, packet: &[u8]) {
        let Some((head, rest)) = packet.split_at_checked(8) else { return };
        let Some((addresses, _)) = rest.split_at_checked(20) else { return };
        let (sender, target) = addresses.split_at(10);
        if head[..6] != ARP_OF_IPV4 || head[6..] != REQUEST || target[6..] != self.address.octets()
        {
            return;
        }
        let mac = &sender[..6];
        let reply: [&[u8]; 7] = [
            &self.header(mac, ARP),
            &ARP_OF_IPV4,
            &REPLY,
            &self.mac,
            &self.address.octets(),
            sender,
            &[],
        ];
        let reply = reply.concat();
        self.other.copy_from_slice(mac);
        self.sent.push_back(reply);
    }

    fn header(&self, to: &[u8], kind: [u8; 2]) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..6].copy_from_slice(to);
        header[6..12].copy_from_slice(&self.mac);
        header[12..].copy_from_slice(&kind);
        header
    }

    /// Takes the next frame to be sent.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.sent.pop_front()
    }

    /// Whether nothing waits for the stack.
    pub(super) fn is_idle(&self) -> bool {
        self.received.is_empty()
    }
}

pub(super) struct Packet(Vec<u8>);

pub(super) struct Outgoing<'a>(&'a mut Port);

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = self.0.header(&self.0.other, IPV4).to_vec();
        frame.resize(HEADER + length, 0);
        let result = fill(&mut frame[HEADER..]);
        self.0.sent.push_back(frame);
        result
    }
}

impl Device for Port {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Time) -> Option<(Packet, Outgoing<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Packet(packet), Outgoing(self)))
    }

    fn transmit(&mut self, _: Time) -> Option<Outgoing<'_>> {
        Some(Outgoing(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}
