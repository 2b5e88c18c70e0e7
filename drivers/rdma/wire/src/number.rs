//! Names of queue pairs, memory and partitions, each a type of its own.

use core::fmt;

/// A queue pair's number, 24 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Qpn(u32);

impl Qpn {
    /// Queue pair 1, where connection messages arrive.
    pub const GENERAL_SERVICE: Self = Self(1);

    /// The number's lower 24 bits.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number & 0x00ff_ffff)
    }

    /// The number, below 2^24.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The key by which a remote side names registered memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RKey(pub u32);

/// A datagram queue pair's key: a datagram with another one is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct QKey(pub u32);

impl QKey {
    /// The well-known key of queue pair 1.
    pub const GENERAL_SERVICE: Self = Self(0x8001_0000);
    /// What RDMA IP CM gives datagram queue pairs, as Linux has it.
    pub const IP_CM: Self = Self(0x0123_4567);
}

/// A partition key: 15 bits that name the partition, and the top bit for full membership.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PKey(pub u16);

impl PKey {
    /// Full membership in the default partition: the only entry of a RoCEv2 port's table.
    pub const DEFAULT: Self = Self(0xffff);

    /// Whether a packet with this key may pass to a queue pair with `other`: the same partition,
    /// and not two limited members (IBA volume 1, 10.9).
    #[inline]
    pub const fn matches(self, other: Self) -> bool {
        let base = self.0 & 0x7fff;
        base == other.0 & 0x7fff && base != 0 && (self.0 | other.0) & 0x8000 != 0
    }
}

impl Default for PKey {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Debug for Qpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Qpn({:06x})", self.0)
    }
}

impl fmt::Debug for RKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RKey({:08x})", self.0)
    }
}

impl fmt::Debug for QKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QKey({:08x})", self.0)
    }
}

impl fmt::Debug for PKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PKey({:04x})", self.0)
    }
}
