//! The IPv4 header in front of a RoCEv2 packet: no options, no fragments.

use crate::checksum::Sum;
use crate::udp::{self, UDP, UDP_LENGTH};
use crate::{Envelope, Error, Gid};

/// Bytes of an IPv4 header without options.
pub(crate) const IPV4_LENGTH: usize = 20;
/// IPv4 and UDP.
pub(crate) const HEADERS: usize = IPV4_LENGTH + UDP_LENGTH;

/// Splits a packet into IPv4 and UDP headers and the UDP payload, all checked. What follows the
/// packet is left out: short Ethernet frames are padded.
#[inline]
pub(crate) fn split(packet: &[u8]) -> Result<(&[u8; HEADERS], &[u8]), Error> {
    let headers: &[u8; HEADERS] = packet.first_chunk().ok_or(Error::Truncated)?;
    if headers[0] != 0x45 {
        return Err(Error::IpOptions);
    }
    let length = usize::from(u16::from_be_bytes([headers[2], headers[3]]));
    let payload = packet.get(HEADERS..length).ok_or(Error::IpLength)?;
    // More fragments, the offset, and the bit that must be zero: all but "don't fragment".
    if u16::from_be_bytes([headers[6], headers[7]]) & 0xbfff != 0 {
        return Err(Error::Fragment);
    }
    if headers[9] != UDP {
        return Err(Error::NotUdp);
    }
    if !Sum::ZERO.bytes(&headers[..IPV4_LENGTH]).is_intact() {
        return Err(Error::IpChecksum);
    }
    let udp = headers.last_chunk().ok_or(Error::Truncated)?;
    udp::check(udp, payload, &headers[12..IPV4_LENGTH])?;
    Ok((headers, payload))
}

/// Writes both headers for a UDP payload of `payload` bytes. "Don't fragment" is set.
#[inline]
pub(crate) fn emit(
    envelope: &Envelope,
    source: [u8; 4],
    destination: [u8; 4],
    payload: usize,
    headers: &mut [u8; HEADERS],
) {
    let [l0, l1] = ((HEADERS + payload) as u16).to_be_bytes();
    let [i0, i1] = envelope.identification.to_be_bytes();
    let class = envelope.traffic_class;
    headers[0..12].copy_from_slice(&[
        0x45,
        class,
        l0,
        l1,
        i0,
        i1,
        0x40,
        0,
        envelope.hop_limit,
        UDP,
        0,
        0,
    ]);
    headers[12..16].copy_from_slice(&source);
    headers[16..20].copy_from_slice(&destination);
    let checksum = Sum::ZERO.bytes(&headers[..IPV4_LENGTH]).checksum();
    headers[10..12].copy_from_slice(&checksum);
    if let Some(header) = headers.last_chunk_mut() {
        udp::emit(envelope.source_port, payload, header);
    }
}

/// What the headers say.
pub(crate) fn envelope(headers: &[u8; HEADERS]) -> Envelope {
    Envelope {
        source: source(headers),
        destination: destination(headers),
        source_port: u16::from_be_bytes([headers[20], headers[21]]),
        traffic_class: headers[1],
        hop_limit: headers[8],
        identification: u16::from_be_bytes([headers[4], headers[5]]),
        flow_label: 0,
    }
}

#[inline]
pub(crate) fn source(headers: &[u8; HEADERS]) -> Gid {
    Gid::from_ipv4_bytes([headers[12], headers[13], headers[14], headers[15]])
}

#[inline]
pub(crate) fn destination(headers: &[u8; HEADERS]) -> Gid {
    Gid::from_ipv4_bytes([headers[16], headers[17], headers[18], headers[19]])
}
