//! Addresses: a RoCEv2 GID is an IP address.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// A global identifier: an IPv6 address, or an IPv4 address mapped into one (`::ffff:a.b.c.d`),
/// in network order. So both families compare and hash alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Gid([u8; 16]);

impl Gid {
    /// From its bytes in network order.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes in network order.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The bytes of the IPv4 address it stands for.
    #[inline]
    pub fn ipv4_bytes(self) -> Option<[u8; 4]> {
        let [prefix @ .., a, b, c, d] = self.0;
        (prefix == MAPPED).then_some([a, b, c, d])
    }

    /// From the bytes of an IPv4 address.
    #[inline]
    pub fn from_ipv4_bytes([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// The IP address it stands for.
    pub fn to_ip(self) -> IpAddr {
        match self.ipv4_bytes() {
            Some(bytes) => IpAddr::V4(bytes.into()),
            None => IpAddr::V6(self.0.into()),
        }
    }
}

impl From<Ipv4Addr> for Gid {
    fn from(address: Ipv4Addr) -> Self {
        Self::from_ipv4_bytes(address.octets())
    }
}

impl From<Ipv6Addr> for Gid {
    fn from(address: Ipv6Addr) -> Self {
        Self(address.octets())
    }
}

impl From<IpAddr> for Gid {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_ip(), f)
    }
}

impl fmt::Debug for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gid({self})")
    }
}
