//! The invariant CRC: over all that no router may change.
//!
//! It is zlib's CRC-32 over eight bytes of ones, the IP header, the UDP header, the BTH and what
//! follows up to the ICRC, pad bytes included; fields that may change on the way count as ones
//! (annex A17 of the IBA). It is stored with its lowest byte first.

use crate::envelope::Headers;
use crate::{Bth, ipv4, ipv6};
use reflex_rdma_crc::crc32;

/// Bytes of ones in front, which stand for the local route header of InfiniBand.
const PREFIX: usize = 8;

/// An invariant CRC that is being computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the packet ends with it"]
pub struct Icrc(u32);

impl Icrc {
    /// Bytes on the wire.
    pub const LENGTH: usize = 4;

    /// Over the headers up to the BTH.
    #[inline]
    pub(crate) fn over(headers: Headers<'_>, bth: &[u8; Bth::LENGTH]) -> Self {
        match headers {
            Headers::V4(headers) => Self::over_ipv4(headers, bth),
            Headers::V6(headers) => Self::over_ipv6(headers, bth),
        }
    }

    #[inline]
    pub(crate) fn over_ipv4(headers: &[u8; ipv4::HEADERS], bth: &[u8; Bth::LENGTH]) -> Self {
        const IP: usize = PREFIX;
        const UDP: usize = IP + ipv4::IPV4_LENGTH;
        const BTH: usize = IP + ipv4::HEADERS;
        // Three blocks of 16, for which CRC-32 has tables.
        let mut bytes = [0xff; BTH + Bth::LENGTH];
        bytes[IP..BTH].copy_from_slice(headers);
        bytes[BTH..].copy_from_slice(bth);
        bytes[IP + 1] = 0xff; // type of service
        bytes[IP + 8] = 0xff; // time to live
        bytes[IP + 10..IP + 12].fill(0xff); // header checksum
        bytes[UDP + 6..UDP + 8].fill(0xff); // UDP checksum
        bytes[BTH + 4] = 0xff; // FECN, BECN
        Self(0).with(&bytes)
    }

    #[inline]
    pub(crate) fn over_ipv6(headers: &[u8; ipv6::HEADERS], bth: &[u8; Bth::LENGTH]) -> Self {
        const IP: usize = PREFIX;
        const UDP: usize = IP + ipv6::IPV6_LENGTH;
        const BTH: usize = IP + ipv6::HEADERS;
        let mut bytes = [0xff; BTH + Bth::LENGTH];
        bytes[IP..BTH].copy_from_slice(headers);
        bytes[BTH..].copy_from_slice(bth);
        bytes[IP] |= 0x0f; // traffic class
        bytes[IP + 1..IP + 4].fill(0xff); // traffic class, flow label
        bytes[IP + 7] = 0xff; // hop limit
        bytes[UDP + 6..UDP + 8].fill(0xff); // UDP checksum
        bytes[BTH + 4] = 0xff; // FECN, BECN
        Self(0).with(&bytes)
    }

    /// With what follows: extension headers, payload, pad bytes, in any number of pieces.
    #[inline]
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(crc32(self.0, bytes))
    }

    /// The four bytes the packet ends with.
    #[inline]
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0.to_le_bytes()
    }
}
