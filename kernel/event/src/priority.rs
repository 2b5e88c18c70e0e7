//! The 64 priority levels.

/// One of 64 levels; a higher number is served first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    /// How many levels there are.
    pub const LEVELS: usize = 64;
    /// `main` and work that everything else may interrupt.
    pub const LOWEST: Self = Self(0);
    /// Below [`Priority::DEFAULT`].
    pub const LOW: Self = Self(16);
    /// What a registration gets that names no priority.
    pub const DEFAULT: Self = Self(32);
    /// Above [`Priority::DEFAULT`].
    pub const HIGH: Self = Self(48);
    /// Served before everything else.
    pub const HIGHEST: Self = Self(63);

    /// The given level, or `None` from 64 up.
    pub const fn new(level: u8) -> Option<Self> {
        if (level as usize) < Self::LEVELS { Some(Self(level)) } else { None }
    }

    /// The level as a number, 0 to 63.
    pub const fn level(self) -> u8 {
        self.0
    }

    /// The level as an index that is in bounds of a 64-entry table for the optimiser to see.
    pub const fn index(self) -> usize {
        (self.0 & 63) as usize
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}
