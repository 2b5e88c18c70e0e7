//! What makes a registration more than a handler and a counter.

use crate::DisabledPolicy;

/// The marks of a registration that is not plain. A plain one has none, which is all that the
/// hot paths look at; every mark is dealt with on a path of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gate(u16);

impl Gate {
    /// No mark.
    pub(crate) const OPEN: Self = Self(0);
    /// Disabled: occurrences wait.
    pub(crate) const KEEPING: Self = Self(1);
    /// Disabled: occurrences are counted, and told to the caller that enables it.
    pub(crate) const COUNTING: Self = Self(1 << 1);
    /// Disabled: occurrences are forgotten.
    pub(crate) const DISCARDING: Self = Self(1 << 2);
    /// Somebody is asked before an occurrence counts: a filter, or a time-out to start anew.
    pub(crate) const WATCHED: Self = Self(1 << 3);
    /// Its time-out has passed, and the handler has not been told.
    pub(crate) const EXPIRED: Self = Self(1 << 4);
    /// When it was activated is kept until its handler ends.
    pub(crate) const TIMED: Self = Self(1 << 5);
    /// It has no handler to run: it lets its context go on that waits.
    pub(crate) const WAKES: Self = Self(1 << 6);
    /// It waits for its context to have fewer activations queued.
    pub(crate) const PARKED: Self = Self(1 << 7);
    /// It tells its context of trouble, which no limit may keep from it.
    pub(crate) const NOTICE: Self = Self(1 << 8);
    /// Unregistered while its handler runs; freed when that run ends.
    pub(crate) const ENDING: Self = Self(1 << 9);

    /// The three ways of being disabled.
    pub(crate) const DISABLED: Self = Self(Self::KEEPING.0 | Self::COUNTING.0 | Self::DISCARDING.0);
    /// Why a registration with something pending is not in its context's queue.
    pub(crate) const ASIDE: Self = Self(Self::DISABLED.0 | Self::WAKES.0 | Self::PARKED.0);

    #[inline(always)]
    pub(crate) const fn is_open(self) -> bool {
        self.0 == 0
    }

    /// Whether any of the marks of `other` is set.
    #[inline(always)]
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether somebody is asked before an occurrence counts, which is not forgotten anyway.
    #[inline(always)]
    pub(crate) const fn asks(self) -> bool {
        self.0 & (Self::WATCHED.0 | Self::DISCARDING.0) == Self::WATCHED.0
    }

    /// Disables, for what is to become of occurrences.
    #[inline(always)]
    pub(crate) fn disable(&mut self, meanwhile: DisabledPolicy) {
        self.set(Self::DISABLED, false);
        self.set(
            match meanwhile {
                DisabledPolicy::Keep => Self::KEEPING,
                DisabledPolicy::Count => Self::COUNTING,
                DisabledPolicy::Discard => Self::DISCARDING,
            },
            true,
        );
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, marks: Self, on: bool) {
        if on { self.0 |= marks.0 } else { self.0 &= !marks.0 }
    }
}
