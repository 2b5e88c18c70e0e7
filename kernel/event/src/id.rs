//! Names of contexts, events and timers. All are small, `Copy`, and checked when used.
//!
//! A name says on which core its place is: in the highest bits of the generation, which are compared anyway. So the
//! name of another core's is refused like one that has ended, at no cost; then it is looked at where it belongs.

use crate::Error;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

/// A context's name: its place and the generation of that place, so that the name of a context
/// that has ended is refused. A machine word.
///
/// A generation has 48 bits, of which the upper six are the core's number, since a place may be given to another every
/// few microseconds, for months. None comes again: the place of the last one is [retired](Error::UsedUp).
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct ContextId {
    /// Place among the contexts.
    pub index: u16,
    generation: Generation,
}

const _: () = assert!(size_of::<ContextId>() == 8);

/// Bits of a name that are the core's number.
const CORE_BITS: u32 = 6;

/// The most cores that names tell apart.
pub const MOST_CORES: u32 = 1 << CORE_BITS;

/// Where the core's number is in the generation of an event or a timer. A place is so given away 2^25 times.
const CORE_SHIFT: u32 = u32::BITS - CORE_BITS;

/// The first generation of the places of events and timers on a core: that of one which has never been taken.
pub const fn first_generation(core: u32) -> u32 {
    core << CORE_SHIFT
}

/// Whether the generation of a place in use is the last that it can have.
pub(crate) const fn is_last(generation: u32) -> bool {
    is_used_up(generation.wrapping_add(1))
}

/// Whether the generation of a place of events or timers is one that follows the last: none is given out any more.
#[inline(always)]
pub(crate) const fn is_used_up(generation: u32) -> bool {
    generation << CORE_BITS == 0
}

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
    /// The first on a core.
    const fn first(core: u32) -> Self {
        Self::new((core as u64) << ContextId::CORE_SHIFT)
    }

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
        if self.get() & ContextId::LAST_GENERATION == ContextId::LAST_GENERATION {
            return Err(Error::UsedUp);
        }
        Ok(Self::new(self.get() + 1))
    }
}

impl ContextId {
    /// Where the core's number is in a generation.
    const CORE_SHIFT: u32 = 48 - CORE_BITS;

    /// The last generation of a place, on core 0.
    pub const LAST_GENERATION: u64 = (1 << Self::CORE_SHIFT) - 1;

    /// The core that it is on.
    #[inline(always)]
    pub const fn core(self) -> u32 {
        (self.generation.get() >> Self::CORE_SHIFT) as u32
    }

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

    /// The first name of a place of a core.
    pub(crate) const fn first(core: u32, index: u16) -> Self {
        Self { index, generation: Generation::first(core) }
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
    /// How often that place has been taken or given back, and in the upper six bits the core's number; odd, so never
    /// 0. None comes again: after the last one the place is retired.
    pub generation: u32,
}

impl EventId {
    /// The core that it is on.
    #[inline(always)]
    pub const fn core(self) -> u32 {
        self.generation >> CORE_SHIFT
    }

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
    /// How often that place has been given away, and in the upper six bits the core's number.
    pub generation: u32,
}

impl TimerId {
    /// The core that it is on.
    pub const fn core(self) -> u32 {
        self.generation >> CORE_SHIFT
    }
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
