//! Packet sequence numbers: 24 bits that wrap.

use core::fmt;

const MASK: u32 = 0x00ff_ffff;
const HALF: u32 = 0x0080_0000;

/// A packet sequence number (IBA volume 1, 9.2). Its arithmetic wraps at 24 bits, so there is an
/// order only between numbers less than 2^23 apart: no `Ord`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Psn(u32);

impl Psn {
    /// The number's lower 24 bits.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number & MASK)
    }

    /// The number, below 2^24.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after.
    #[inline]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The one before.
    #[inline]
    pub const fn previous(self) -> Self {
        self.minus(1)
    }

    /// `count` further on.
    #[inline]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count) & MASK)
    }

    /// `count` back.
    #[inline]
    pub const fn minus(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count) & MASK)
    }

    /// How many steps lead from `earlier` forward to this one, below 2^24.
    #[inline]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0) & MASK
    }

    /// Whether it comes before `other`: fewer than 2^23 steps forward lead there.
    #[inline]
    pub const fn is_before(self, other: Self) -> bool {
        self.0 != other.0 && other.since(self) < HALF
    }

    /// Whether it comes after `other`: fewer than 2^23 steps back lead there.
    #[inline]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// Steps from `other` to this one, negative when it lies behind: -2^23 .. 2^23.
    #[inline]
    pub const fn signed_since(self, other: Self) -> i32 {
        // The sign bit of 24 becomes that of 32.
        ((self.0.wrapping_sub(other.0) << 8) as i32) >> 8
    }
}

impl fmt::Debug for Psn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Psn({:06x})", self.0)
    }
}
