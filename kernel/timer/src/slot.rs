//! A slot's name: which level of the wheel, and which place there.

/// Bits of the time that a level stands for, and so 64 slots a level: one word of bitmap.
pub(crate) const LEVEL_BITS: u32 = 6;
/// Slots of a level.
pub(crate) const SLOTS: usize = 1 << LEVEL_BITS;

/// A slot: its level and its number there, as `level * 64 + number`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    /// The place of a timer that is in no slot.
    pub(crate) const NONE: Self = Self(u32::MAX);
    /// The place of the timer that is before all slots.
    pub(crate) const FRONT: Self = Self(u32::MAX - 1);

    /// Where a timer of `tick` waits when the wheel's time is `now`, which is not later: on
    /// the level of the highest digit in which the two differ.
    #[inline]
    pub(crate) fn of(tick: u64, now: u64) -> Self {
        let Level { first, shift } = LEVEL_OF[((tick ^ now) | 1).ilog2() as usize];
        Self(u32::from(first) | ((tick >> shift) as u32 % SLOTS as u32))
    }

    /// Its level; level 0 has slots of one granule.
    #[inline]
    pub(crate) fn level(self) -> u32 {
        self.0 / SLOTS as u32
    }

    /// The first tick of the slot that is ahead of `now`.
    #[inline]
    pub(crate) fn start(self, now: u64) -> u64 {
        let shift = self.level() * LEVEL_BITS;
        let number = u64::from(self.0) % SLOTS as u64;
        // Of the time now, the digits above the level's own stay.
        (now >> shift & !(SLOTS as u64 - 1) | number) << shift
    }

    /// Its place among the slots of all levels.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What places a timer on a level.
#[derive(Clone, Copy)]
struct Level {
    /// The level's first slot.
    first: u16,
    /// Bits of the time below the level's digit.
    shift: u8,
}

/// The level of each bit of the time: cheaper to look up than to divide for.
const LEVEL_OF: [Level; 64] = {
    let mut levels = [Level { first: 0, shift: 0 }; 64];
    let mut bit = 0;
    while bit < 64 {
        let level = bit / LEVEL_BITS as usize;
        levels[bit] =
            Level { first: (level * SLOTS) as u16, shift: (level * LEVEL_BITS as usize) as u8 };
        bit += 1;
    }
    levels
};
