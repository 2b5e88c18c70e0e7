//! Which messages are asked for.

use core::fmt;

/// Tags that are asked for: those that agree with a value in the bits of a mask.
///
/// ```
/// # use reflex_messaging::Tags;
/// let link = Tags::masked(0x0300, 0xff00);
/// assert!(link.contain(0x0342) && !link.contain(0x0442));
/// assert!(Tags::exact(7).contain(7) && !Tags::exact(7).contain(8) && Tags::all().contain(8));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tags {
    value: u64,
    mask: u64,
}

impl Tags {
    /// One tag.
    pub const fn exact(tag: u64) -> Self {
        Self { value: tag, mask: u64::MAX }
    }

    /// All there are.
    pub const fn all() -> Self {
        Self { value: 0, mask: 0 }
    }

    /// Those that agree with `value` in the bits that are set in `mask`.
    pub const fn masked(value: u64, mask: u64) -> Self {
        Self { value: value & mask, mask }
    }

    /// Whether `tag` is one of them.
    pub const fn contain(self, tag: u64) -> bool {
        tag & self.mask == self.value
    }

    /// Whether some tag is among these and among those.
    pub const fn meet(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }

    /// What they agree on.
    pub const fn value(self) -> u64 {
        self.value
    }

    /// In which bits.
    pub const fn mask(self) -> u64 {
        self.mask
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mask {
            u64::MAX => write!(f, "{:#x}", self.value),
            mask => write!(f, "{:#x}/{mask:#x}", self.value),
        }
    }
}
