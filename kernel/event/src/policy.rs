//! What an owner may do at all, beside how much of it ([`Limits`](crate::Limits)).
//!
//! Kinds of events and protected sections are known by name. A name is given a place in a table of
//! [`Names`] when it is first mentioned, so that a policy is a few words and comparing two of them
//! costs nothing.

use core::time::Duration;

/// The most kinds of events, and the most protected sections, that can have names.
pub const MOST_NAMES: usize = 64;

/// Where a handler runs, or where activations go instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executor {
    /// The owner's own context, by a direct call.
    Direct,
    /// A new context for each activation.
    NewContext,
    /// A handler that waits for the event where it is.
    Waiting,
    /// No handler: the owner's completion ring, for its readers.
    Ring,
}

impl Executor {
    /// Every executor.
    pub const ALL: [Self; 4] = [Self::Direct, Self::NewContext, Self::Waiting, Self::Ring];
}

/// A set of [`Executor`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Executors(u8);

impl Executors {
    /// All of them.
    pub const ALL: Self = Self(0b1111);
    /// None.
    pub const NONE: Self = Self(0);

    /// These and `executor`.
    #[must_use]
    pub const fn with(self, executor: Executor) -> Self {
        Self(self.0 | 1 << executor as u8)
    }

    /// Whether `executor` is one of them.
    pub const fn contains(self, executor: Executor) -> bool {
        self.0 >> executor as u8 & 1 != 0
    }
}

/// A set of names, by their places among [`Names`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameSet(u64);

impl NameSet {
    /// All names, those nobody has mentioned yet included.
    pub const ALL: Self = Self(u64::MAX);
    /// No name.
    pub const NONE: Self = Self(0);

    /// These and the one at `place`.
    #[must_use]
    pub const fn with(self, place: u8) -> Self {
        Self(self.0 | 1 << (place as usize % MOST_NAMES))
    }

    /// Whether the one at `place` is among them.
    pub const fn contains(self, place: u8) -> bool {
        self.0 >> (place as usize % MOST_NAMES) & 1 != 0
    }

    /// The places of these, the lowest first.
    pub fn places(self) -> impl Iterator<Item = u8> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let place = (left != 0).then(|| left.trailing_zeros() as u8)?;
            left &= left - 1;
            Some(place)
        })
    }
}

/// Names and their places.
pub struct Names {
    names: [&'static str; MOST_NAMES],
    length: usize,
}

impl Names {
    /// No names.
    pub const EMPTY: Self = Self { names: [""; MOST_NAMES], length: 0 };

    /// The place of `name`, which is given one if it has none; `None` when there is no room.
    pub fn place(&mut self, name: &'static str) -> Option<u8> {
        let known = self.names[..self.length].iter().position(|known| *known == name);
        if known.is_none() && self.length < MOST_NAMES {
            self.names[self.length] = name;
            self.length += 1;
            return Some((self.length - 1) as u8);
        }
        known.map(|place| place as u8)
    }
}

/// What a context may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The kinds of events it may register for.
    pub kinds: NameSet,
    /// The executors it may name.
    pub executors: Executors,
    /// The protected sections, of any context, that its handlers may not interrupt.
    pub not_during: NameSet,
    /// How many contexts that were made by it there may be at a time.
    pub children: u16,
    /// Time that one run of a handler may take, not counting what it was preempted for.
    pub budget: Option<Duration>,
}

impl Policy {
    /// Everything is allowed.
    pub const OPEN: Self = Self {
        kinds: NameSet::ALL,
        executors: Executors::ALL,
        not_during: NameSet::NONE,
        children: u16::MAX,
        budget: None,
    };

    /// What a child may do that asks for `self`: nothing that its parent may not.
    #[must_use]
    pub fn within(self, parent: Self) -> Self {
        let budget = match (self.budget, parent.budget) {
            (Some(own), Some(most)) => Some(own.min(most)),
            (own, most) => own.or(most),
        };
        Self {
            kinds: NameSet(self.kinds.0 & parent.kinds.0),
            executors: Executors(self.executors.0 & parent.executors.0),
            not_during: NameSet(self.not_during.0 | parent.not_during.0),
            children: self.children.min(parent.children),
            budget,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::OPEN
    }
}
