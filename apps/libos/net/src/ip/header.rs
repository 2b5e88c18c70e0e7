//! Where things are in a frame's headers, from Ethernet's to those of the transport protocols.

use crate::ip::checksum::Sum;

/// Length of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Offset of the source address in an IPv4 header; the destination follows.
pub(crate) const ADDRESSES: usize = 12;
/// The host itself, 127.0.0.1, in the network 127.0.0.0/8.
pub(crate) const LOOPBACK: u32 = 0x7f00_0001;
/// Protocol numbers (IANA).
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// TCP flags (RFC 9293, 3.1).
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// The IPv4 packet in a classified frame: what it says of its length, without padding, and the
/// part behind its header.
#[inline]
pub(crate) fn packet(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let packet = frame.get(ETHERNET..)?;
    let header = packet.first_chunk::<20>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let packet = packet.get(..total)?;
    Some((packet, packet.get(usize::from(header[0] & 15) * 4..)?))
}

/// Whether the transport checksum of an IPv4 packet is right.
#[inline]
pub(crate) fn is_intact(packet: &[u8], payload: &[u8]) -> bool {
    let Some(addresses) = packet.get(ADDRESSES..).and_then(|rest| rest.first_chunk::<8>()) else {
        return false;
    };
    let protocol = packet[9];
    match protocol {
        ICMP => Sum::ZERO.bytes(payload).is_valid(),
        UDP => {
            let length = u16::from_be_bytes([payload[4], payload[5]]);
            let Some(datagram) = payload.get(..usize::from(length)) else { return false };
            let sum = Sum::ZERO.bytes(datagram).pseudo_header(addresses, protocol, length);
            // Zero says that the sender computed none (RFC 768).
            payload[6..8] == [0, 0] || sum.is_valid()
        }
        _ => Sum::ZERO
            .bytes(payload)
            .pseudo_header(addresses, protocol, payload.len() as u16)
            .is_valid(),
    }
}

/// The acknowledgement and the window of a segment behind an IPv4 header without options.
#[inline]
pub(crate) fn offer(packet: &[u8]) -> (u32, u16) {
    (word(packet, 28), (word(packet, 32) & 0xffff) as u16)
}

/// The big-endian word at `offset`, which is known to be inside.
#[inline]
pub(crate) fn word(bytes: &[u8], offset: usize) -> u32 {
    let four = bytes.get(offset..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_be_bytes(*four))
}
