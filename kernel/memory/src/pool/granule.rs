//! What a pool's memory is counted in.

/// The smallest amount a pool hands out: a power of two of bytes, at least 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granule {
    pub(super) shift: u32,
}

impl Granule {
    /// A granule of `bytes` bytes; `None` unless that is a power of two from 16 up.
    pub const fn new(bytes: usize) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= 16 {
            Some(Self { shift: bytes.trailing_zeros() })
        } else {
            None
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        1 << self.shift
    }

    /// The order of the smallest block that holds `bytes` bytes.
    #[inline(always)]
    pub(super) const fn order_for(self, bytes: usize) -> u32 {
        match bytes.saturating_sub(1) >> self.shift {
            0 => 0,
            more => more.ilog2() + 1,
        }
    }
}
