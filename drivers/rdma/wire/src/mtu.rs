//! The path MTU: how much payload a packet carries.

/// Longest headers and trailer around a full payload: IPv6, UDP, BTH, RETH, immediate, ICRC.
const OVERHEAD: usize = 40 + 8 + 12 + 16 + 4 + 4;

/// Payload of every packet of a message but the last (IBA volume 1, 9.7). The discriminant is
/// its code in connection messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum PathMtu {
    /// 256 bytes.
    B256 = 1,
    /// 512 bytes.
    B512 = 2,
    /// 1024 bytes.
    B1024 = 3,
    /// 2048 bytes.
    B2048 = 4,
    /// 4096 bytes.
    B4096 = 5,
}

impl PathMtu {
    /// All of them, from small to large.
    pub const ALL: [Self; 5] = [Self::B256, Self::B512, Self::B1024, Self::B2048, Self::B4096];

    /// In bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        1 << self.shift()
    }

    /// The logarithm of [`PathMtu::bytes`].
    #[inline]
    pub const fn shift(self) -> u32 {
        self as u32 + 7
    }

    /// Its code in connection messages, 1 to 5.
    #[inline]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Of that code; `None` where it is reserved.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::B256,
            2 => Self::B512,
            3 => Self::B1024,
            4 => Self::B2048,
            5 => Self::B4096,
            _ => return None,
        })
    }

    /// The largest of which packets fit, headers and all, in an Ethernet payload of `link` bytes.
    pub fn fitting(link: usize) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|mtu| mtu.bytes() + OVERHEAD <= link)
    }

    /// Packets in a message of `length` bytes: an empty one takes one packet.
    #[inline]
    pub const fn packets(self, length: u32) -> u32 {
        if length == 0 { 1 } else { ((length - 1) >> self.shift()) + 1 }
    }
}
