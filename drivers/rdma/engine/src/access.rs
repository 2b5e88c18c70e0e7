//! What may be done to memory, locally and by peers.

use core::ops::BitOr;

/// Permissions of a memory region, or those that a queue pair grants its peer. Both have to agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Access(u8);

impl Access {
    /// Reading by this side's own requests, which needs no permission.
    pub const NONE: Self = Self(0);
    /// Writing by this side's own requests: receives, the answers to reads and atomics.
    pub const LOCAL_WRITE: Self = Self(1);
    /// RDMA writes by the peer.
    pub const REMOTE_WRITE: Self = Self(2);
    /// RDMA reads by the peer.
    pub const REMOTE_READ: Self = Self(4);
    /// Atomic operations by the peer.
    pub const REMOTE_ATOMIC: Self = Self(8);

    /// Whether all of `other` is among these.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Access {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
