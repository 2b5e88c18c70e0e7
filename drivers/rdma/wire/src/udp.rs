//! UDP, as RoCEv2 uses it: one destination port, and no checksum (annex A17 of the IBA).

use crate::Error;
use crate::checksum::Sum;

/// The UDP destination port of RoCEv2 (IANA, `roce`).
pub const UDP_PORT: u16 = 4791;

/// Bytes of a UDP header.
pub(crate) const UDP_LENGTH: usize = 8;
/// The protocol number of UDP.
pub(crate) const UDP: u8 = 17;

/// Checks a UDP header before a payload of `payload.len()` bytes.
#[inline]
pub(crate) fn check(
    header: &[u8; UDP_LENGTH],
    payload: &[u8],
    addresses: &[u8],
) -> Result<(), Error> {
    let [_, _, p0, p1, l0, l1, c0, c1] = *header;
    if u16::from_be_bytes([p0, p1]) != UDP_PORT {
        return Err(Error::Port);
    }
    let length = u16::from_be_bytes([l0, l1]);
    if usize::from(length) != UDP_LENGTH + payload.len() {
        return Err(Error::UdpLength);
    }
    // Zero says that there is none (RFC 768; for tunnels over IPv6, RFC 6935).
    if [c0, c1] != [0, 0] && !is_intact(header, payload, addresses, length) {
        return Err(Error::UdpChecksum);
    }
    Ok(())
}

#[cold]
fn is_intact(header: &[u8], payload: &[u8], addresses: &[u8], length: u16) -> bool {
    let [high, low] = length.to_be_bytes();
    // Both pseudo-headers come to the same: addresses, length, protocol (RFC 8200, 8.1).
    let pseudo = Sum::ZERO.bytes(addresses).bytes(&[0, UDP, high, low]);
    pseudo.bytes(header).bytes(payload).is_intact()
}

/// Writes a UDP header without a checksum.
#[inline]
pub(crate) fn emit(source_port: u16, payload: usize, header: &mut [u8; UDP_LENGTH]) {
    let [s0, s1] = source_port.to_be_bytes();
    let [p0, p1] = UDP_PORT.to_be_bytes();
    let [l0, l1] = ((UDP_LENGTH + payload) as u16).to_be_bytes();
    *header = [s0, s1, p0, p1, l0, l1, 0, 0];
}
