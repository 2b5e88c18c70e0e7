//! The IPv6 header in front of a RoCEv2 packet: no extension headers.

use crate::udp::{self, UDP, UDP_LENGTH};
use crate::{Envelope, Error, Gid};

/// Bytes of an IPv6 header.
pub(crate) const IPV6_LENGTH: usize = 40;
/// IPv6 and UDP.
pub(crate) const HEADERS: usize = IPV6_LENGTH + UDP_LENGTH;

const FRAGMENT: u8 = 44;

/// Splits a packet into IPv6 and UDP headers and the UDP payload, all checked. What follows the
/// packet is left out.
#[inline]
pub(crate) fn split(packet: &[u8]) -> Result<(&[u8; HEADERS], &[u8]), Error> {
    let headers: &[u8; HEADERS] = packet.first_chunk().ok_or(Error::Truncated)?;
    let length = IPV6_LENGTH + usize::from(u16::from_be_bytes([headers[4], headers[5]]));
    match headers[6] {
        UDP => {}
        FRAGMENT => return Err(Error::Fragment),
        _ => return Err(Error::NotUdp),
    }
    let payload = packet.get(HEADERS..length).ok_or(Error::IpLength)?;
    let udp = headers.last_chunk().ok_or(Error::Truncated)?;
    udp::check(udp, payload, &headers[8..IPV6_LENGTH])?;
    Ok((headers, payload))
}

/// Writes both headers for a UDP payload of `payload` bytes.
#[inline]
pub(crate) fn emit(envelope: &Envelope, payload: usize, headers: &mut [u8; HEADERS]) {
    let word = 6 << 28 | u32::from(envelope.traffic_class) << 20 | envelope.flow_label & 0xf_ffff;
    headers[0..4].copy_from_slice(&word.to_be_bytes());
    let [l0, l1] = ((UDP_LENGTH + payload) as u16).to_be_bytes();
    headers[4..8].copy_from_slice(&[l0, l1, UDP, envelope.hop_limit]);
    headers[8..24].copy_from_slice(&envelope.source.to_bytes());
    headers[24..40].copy_from_slice(&envelope.destination.to_bytes());
    if let Some(header) = headers.last_chunk_mut() {
        udp::emit(envelope.source_port, payload, header);
    }
}

/// What the headers say.
pub(crate) fn envelope(headers: &[u8; HEADERS]) -> Envelope {
    let word = u32::from_be_bytes([headers[0], headers[1], headers[2], headers[3]]);
    Envelope {
        source: source(headers),
        destination: destination(headers),
        source_port: u16::from_be_bytes([headers[40], headers[41]]),
        traffic_class: (word >> 20) as u8,
        hop_limit: headers[7],
        identification: 0,
        flow_label: word & 0xf_ffff,
    }
}

#[inline]
pub(crate) fn source(headers: &[u8; HEADERS]) -> Gid {
    gid(&headers[8..24])
}

#[inline]
pub(crate) fn destination(headers: &[u8; HEADERS]) -> Gid {
    gid(&headers[24..40])
}

#[inline]
fn gid(bytes: &[u8]) -> Gid {
    bytes.first_chunk().copied().map(Gid::from_bytes).unwrap_or_default()
}
