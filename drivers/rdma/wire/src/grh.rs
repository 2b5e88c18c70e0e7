//! The 40 bytes in front of a received datagram's payload.

use crate::envelope::Headers;
use crate::{Datagram, Gid, ipv4, ipv6};

/// What a UD receive has in front of its payload (annex A17 of the IBA): the IPv6 header, or,
/// behind 20 bytes of zero, the IPv4 header. The receiver learns from it where to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GlobalRoute([u8; Self::LENGTH]);

impl GlobalRoute {
    /// Bytes before the payload.
    pub const LENGTH: usize = 40;

    /// That of a received packet.
    #[inline]
    pub fn of(datagram: &Datagram<'_>) -> Self {
        let mut bytes = [0; Self::LENGTH];
        match datagram.headers {
            Headers::V4(headers) => bytes[20..].copy_from_slice(&headers[..ipv4::IPV4_LENGTH]),
            Headers::V6(headers) => bytes.copy_from_slice(&headers[..ipv6::IPV6_LENGTH]),
        }
        Self(bytes)
    }

    /// As found in front of a payload.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// As they go in front of a payload.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The sender of the datagram; `None` when these bytes are neither header.
    pub fn source(&self) -> Option<Gid> {
        self.address(12, 8)
    }

    /// The receiver it was sent to; `None` when these bytes are neither header.
    pub fn destination(&self) -> Option<Gid> {
        self.address(16, 24)
    }

    /// The address at these offsets in an IPv4 and in an IPv6 header.
    fn address(&self, v4: usize, v6: usize) -> Option<Gid> {
        if self.0[0] >> 4 == 6 {
            return self.0.get(v6..)?.first_chunk().copied().map(Gid::from_bytes);
        }
        let header = &self.0[20..];
        if header[0] != 0x45 {
            return None;
        }
        header.get(v4..)?.first_chunk().copied().map(Gid::from_ipv4_bytes)
    }
}
