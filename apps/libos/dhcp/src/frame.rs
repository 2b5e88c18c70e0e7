//! Ethernet, IPv4 and UDP around a message: a client speaks before its host has an address, and hears
//! what is sent to an address that the host does not have yet.

use crate::checksum::Sum;
use crate::error::Error;
use core::net::Ipv4Addr;

/// A hardware address of Ethernet.
pub type Mac = [u8; 6];

/// Every station.
pub const BROADCAST_MAC: Mac = [0xff; 6];
/// The port that clients hear.
pub const CLIENT_PORT: u16 = 68;
/// The port that servers and relays hear.
pub const SERVER_PORT: u16 = 67;

/// Whether the UDP checksum of a received frame is to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpChecksum {
    /// It is.
    Verify,
    /// The device has looked at it, or the frame has come from a program on this computer and has
    /// none yet.
    Trust,
}

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
/// All headers in front of a message.
pub(crate) const HEADERS: usize = ETHERNET + IPV4 + UDP;

const TYPE_IPV4: u16 = 0x0800;
const PROTOCOL_UDP: u8 = 17;
/// "Don't fragment": the packet is one, and needs no identification (RFC 6864, 4.1).
const WHOLE: u16 = 0x4000;
const TIME_TO_LIVE: u8 = 64;

/// Whether a frame is worth [`message`]: IPv4, UDP, to port 68. Anything else is not a client's.
pub fn is_for_client(frame: &[u8]) -> bool {
    let words = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let header = frame.get(ETHERNET).map_or(0, |first| usize::from(first & 15) * 4);
    words(12) == Some(TYPE_IPV4)
        && frame.get(ETHERNET + 9) == Some(&PROTOCOL_UDP)
        && words(ETHERNET + header + 2) == Some(CLIENT_PORT)
}

/// The message in a frame that the station `own` has received.
///
/// The addresses and the source port do not count: a server may send to the address that it offers,
/// or to everybody, and a relay or a translator may be between.
///
/// # Errors
/// When the frame is none of DHCP's, or broken.
pub fn message(frame: &[u8], own: Mac, checksum: UdpChecksum) -> Result<&[u8], Error> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET>().ok_or(Error::Truncated)?;
    if ethernet[..6] != own && ethernet[..6] != BROADCAST_MAC {
        return Err(Error::OtherStation);
    }
    if ethernet[12..] != TYPE_IPV4.to_be_bytes() {
        return Err(Error::NotIpv4);
    }
    let (ip, datagram) = packet_parts(packet)?;
    let header = datagram.first_chunk::<UDP>().ok_or(Error::UdpLength)?;
    let [_, _, p0, p1, l0, l1, c0, c1] = *header;
    if u16::from_be_bytes([p0, p1]) != CLIENT_PORT {
        return Err(Error::OtherPort);
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let payload = datagram.get(UDP..length).ok_or(Error::UdpLength)?;
    // Zero says that there is none (RFC 768).
    let summed = checksum == UdpChecksum::Verify && [c0, c1] != [0, 0];
    let sum = || pseudo(&ip[12..20], length).bytes(&datagram[..length]);
    if summed && !sum().is_intact() {
        return Err(Error::UdpChecksum);
    }
    Ok(payload)
}

/// The header of an IPv4 packet and what follows it, without the padding of short frames.
fn packet_parts(packet: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let fixed = packet.first_chunk::<IPV4>().ok_or(Error::Truncated)?;
    if fixed[0] >> 4 != 4 {
        return Err(Error::NotIpv4);
    }
    let header = usize::from(fixed[0] & 15) * 4;
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let rest = packet.get(header..length).ok_or(Error::IpLength)?;
    if header < IPV4 {
        return Err(Error::IpLength);
    }
    if !Sum::ZERO.bytes(&packet[..header]).is_intact() {
        return Err(Error::IpChecksum);
    }
    // More fragments, or an offset.
    if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0 {
        return Err(Error::Fragment);
    }
    if fixed[9] != PROTOCOL_UDP {
        return Err(Error::OtherPort);
    }
    Ok((&packet[..header], rest))
}

/// The pseudo-header's sum.
fn pseudo(addresses: &[u8], length: usize) -> Sum {
    let [high, low] = (length as u16).to_be_bytes();
    Sum::ZERO.bytes(addresses).bytes(&[0, PROTOCOL_UDP, high, low])
}

/// From where to where a message goes.
pub(crate) struct Ends {
    pub(crate) own: Mac,
    pub(crate) next_hop: Mac,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
}

/// Writes the headers in front of a message that begins behind them and ends with the frame.
pub(crate) fn emit(frame: &mut [u8], ends: &Ends) {
    let Some((headers, message)) = frame.split_first_chunk_mut::<HEADERS>() else { return };
    let udp_length = UDP + message.len();
    headers[..6].copy_from_slice(&ends.next_hop);
    headers[6..12].copy_from_slice(&ends.own);
    headers[12..14].copy_from_slice(&TYPE_IPV4.to_be_bytes());
    let (ip, udp) = headers[ETHERNET..].split_at_mut(IPV4);
    ip[..2].copy_from_slice(&[0x45, 0]);
    ip[2..4].copy_from_slice(&((IPV4 + udp_length) as u16).to_be_bytes());
    ip[4..6].copy_from_slice(&[0, 0]);
    ip[6..8].copy_from_slice(&WHOLE.to_be_bytes());
    ip[8..12].copy_from_slice(&[TIME_TO_LIVE, PROTOCOL_UDP, 0, 0]);
    ip[12..16].copy_from_slice(&ends.source.octets());
    ip[16..20].copy_from_slice(&ends.destination.octets());
    let checksum = Sum::ZERO.bytes(ip).checksum();
    ip[10..12].copy_from_slice(&checksum);
    udp[..2].copy_from_slice(&CLIENT_PORT.to_be_bytes());
    udp[2..4].copy_from_slice(&SERVER_PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&(udp_length as u16).to_be_bytes());
    udp[6..8].copy_from_slice(&[0, 0]);
    let sum = pseudo(&ip[12..20], udp_length).bytes(udp).bytes(message);
    // A sum of zero is sent as its other form: zero would say that there is none (RFC 768).
    let checksum = Some(sum.checksum()).filter(|sum| *sum != [0, 0]).unwrap_or([0xff, 0xff]);
    udp[6..8].copy_from_slice(&checksum);
}
