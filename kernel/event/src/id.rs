//! Names of contexts, events and timers. All are small, `Copy`, and checked when used.

use crate::Error;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

/// A context's name: its place and the generation of that place, so that the name of a context
/// that has ended is refused. A machine word.
///
/// A generation has 48 bits, since a place may be given to another every few microseconds, for
/// years. None comes again: the place of the last one is [retired](Error::UsedUp).
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct ContextId {
    /// Place among the contexts.
    pub index: u16,
    generation: Generation,
}

const _: () = assert!(size_of::<ContextId>() == 8);

/// A generation of a context's place: 48 bits, in pieces that lie where they need no room beside an
/// index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(2))]
pub(crate) struct Generation {
    upper: u16,
    lower: u32,
}

impl PartialEq for ContextId {
    /// In one comparison.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Hash for ContextId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl Generation {
    pub(crate) const FIRST: Self = Self::new(0);

    const fn new(generation: u64) -> Self {
        Self { upper: (generation >> 32) as u16, lower: generation as u32 }
    }

    const fn get(self) -> u64 {
        (self.upper as u64) << 32 | self.lower as u64
    }

    /// The one after this.
    ///
    /// # Errors
    /// [`Error::UsedUp`].
    pub(crate) fn next(self) -> Result<Self, Error> {
        if self.get() == ContextId::LAST_GENERATION {
            return Err(Error::UsedUp);
        }
        Ok(Self::new(self.get() + 1))
    }
}

impl ContextId {
    /// The last generation of a place.
    pub const LAST_GENERATION: u64 = (1 << 48) - 1;

    /// The name of a place in one of its generations, of which the lower 48 bits count.
    #[inline(always)]
    pub const fn new(index: u16, generation: u64) -> Self {
        Self { index, generation: Generation::new(generation) }
    }

    /// The name of the place `index`, which is this one's, so that only the rest is looked at.
    #[inline(always)]
    pub(crate) const fn at(self, index: u16) -> Self {
        Self { index, ..self }
    }

    /// The first name of a place.
    pub(crate) const fn first(index: u16) -> Self {
        Self { index, generation: Generation::FIRST }
    }

    /// The next name of the place.
    ///
    /// # Errors
    /// [`Error::UsedUp`].
    pub(crate) fn next(self) -> Result<Self, Error> {
        Ok(Self { generation: self.generation.next()?, ..self })
    }

    /// Its place.
    #[inline(always)]
    pub const fn place(self) -> ContextIndex {
        ContextIndex { index: self.index }
    }

    /// How often the place has been given to another.
    #[inline(always)]
    pub const fn generation(self) -> u64 {
        self.generation.get()
    }

    /// All of it, as it lies in memory: one access.
    #[inline(always)]
    const fn bits(self) -> u64 {
        let Generation { upper, lower } = self.generation;
        (lower as u64) << 32 | (upper as u64) << 16 | self.index as u64
    }

    /// The name in one machine word.
    #[inline(always)]
    pub const fn into_word(self) -> u64 {
        self.generation() << 16 | self.index as u64
    }

    /// The name in a word.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self::new(word as u16, word >> 16)
    }
}

impl fmt::Debug for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextId({}.{})", self.index, self.generation())
    }
}

/// A context's place alone, for code that knows that the context is there: dispatch, which the core
/// has just told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContextIndex {
    /// Place among the contexts.
    pub index: u16,
}

impl From<ContextId> for ContextIndex {
    #[inline(always)]
    fn from(context: ContextId) -> Self {
        context.place()
    }
}

/// A registration's name: its place and the generation of that place, so that a stale name is
/// refused and never reaches what was registered there next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventId {
    /// Place in the table of registrations.
    pub index: u32,
    /// How often that place has been taken or given back; odd, so never 0. None comes again: after
    /// the last one the place is retired.
    pub generation: u32,
}

impl EventId {
    /// The identifier in one machine word.
    #[inline(always)]
    pub const fn into_word(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The identifier in a word.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self { index: word as u32, generation: (word >> 32) as u32 }
    }
}

/// A timer's name, generation-checked like [`EventId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId {
    /// Place in the table of timers.
    pub index: u32,
    /// How often that place has been given away.
    pub generation: u32,
}

/// A context with a state of type `S`: what a handler of `&mut S` is registered with.
///
/// The type is a promise the kernel checks at registration, not a proof: a handle forged
/// with another `S` is refused with [`Error::WrongState`].
pub struct Context<S> {
    id: ContextId,
    state: PhantomData<fn(&mut S)>,
}

impl<S> Context<S> {
    /// The handle of context `id`. Only the kernel, which made the context, has use for this.
    pub const fn new(id: ContextId) -> Self {
        Self { id, state: PhantomData }
    }

    /// The context's name.
    pub const fn id(self) -> ContextId {
        self.id
    }
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Context<S> {}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({}.{})", self.id.index, self.id.generation())
    }
}
