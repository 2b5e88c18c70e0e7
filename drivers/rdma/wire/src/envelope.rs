//! What the IP and UDP headers around a packet say.

use crate::{Error, Gid, ipv4, ipv6};

/// Addresses and the fields that go with them. The family follows from the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The sender.
    pub source: Gid,
    /// The receiver; of the same family.
    pub destination: Gid,
    /// Any port: networks spread flows by it. Linux keeps to one a queue pair.
    pub source_port: u16,
    /// Traffic class or type of service: DSCP, and ECN in the lower two bits.
    pub traffic_class: u8,
    /// Hop limit or time to live.
    pub hop_limit: u8,
    /// IPv4's identification; IPv6 has none, and zero here.
    pub identification: u16,
    /// IPv6's flow label, 20 bits; IPv4 has none, and zero here.
    pub flow_label: u32,
}

impl Envelope {
    /// With a hop limit of 64, and zero elsewhere, as Linux has it.
    pub const fn new(source: Gid, destination: Gid, source_port: u16) -> Self {
        Self {
            source,
            destination,
            source_port,
            traffic_class: 0,
            hop_limit: 64,
            identification: 0,
            flow_label: 0,
        }
    }

    /// Bytes of the IP and UDP headers.
    #[inline]
    pub fn length(&self) -> usize {
        if self.destination.ipv4_bytes().is_some() { ipv4::HEADERS } else { ipv6::HEADERS }
    }
}

/// Which IP a frame's payload is to be taken for RoCEv2 by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Headers<'a> {
    V4(&'a [u8; ipv4::HEADERS]),
    V6(&'a [u8; ipv6::HEADERS]),
}

/// A RoCEv2 packet as far as IP and UDP: all their lengths and checksums are right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    pub(crate) headers: Headers<'a>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads an IP packet; bytes behind its end are ignored.
    ///
    /// # Errors
    /// Those of [`Error`] that are about IP and UDP, [`Error::Truncated`].
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        match packet.first().map(|byte| byte >> 4) {
            Some(4) => {
                let (headers, payload) = ipv4::split(packet)?;
                Ok(Self { headers: Headers::V4(headers), payload })
            }
            Some(6) => {
                let (headers, payload) = ipv6::split(packet)?;
                Ok(Self { headers: Headers::V6(headers), payload })
            }
            Some(_) => Err(Error::IpVersion),
            None => Err(Error::Truncated),
        }
    }

    /// The sender.
    #[inline]
    pub fn source(&self) -> Gid {
        match self.headers {
            Headers::V4(headers) => ipv4::source(headers),
            Headers::V6(headers) => ipv6::source(headers),
        }
    }

    /// The receiver.
    #[inline]
    pub fn destination(&self) -> Gid {
        match self.headers {
            Headers::V4(headers) => ipv4::destination(headers),
            Headers::V6(headers) => ipv6::destination(headers),
        }
    }

    /// All that the headers say.
    pub fn envelope(&self) -> Envelope {
        match self.headers {
            Headers::V4(headers) => ipv4::envelope(headers),
            Headers::V6(headers) => ipv6::envelope(headers),
        }
    }

    /// The UDP payload, from the BTH to the ICRC.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Whether an IP packet is to be taken for RoCEv2: UDP to port 4791. What [`Datagram::parse`] then
/// refuses is nobody else's either. Later fragments carry no port, and are not taken.
#[inline]
pub fn is_roce(packet: &[u8]) -> bool {
    let (protocol, udp) = match packet {
        [first, _, _, _, _, _, f0, f1, _, protocol, ..] if first >> 4 == 4 => {
            if f0 & 0x1f != 0 || *f1 != 0 {
                return false;
            }
            (*protocol, usize::from(first & 15) * 4)
        }
        [first, _, _, _, _, _, next, ..] if first >> 4 == 6 => (*next, ipv6::IPV6_LENGTH),
        _ => return false,
    };
    let port = packet.get(udp + 2..udp + 4);
    protocol == crate::udp::UDP && port == Some(&crate::UDP_PORT.to_be_bytes())
}
