//! Names of contexts, events and timers. All are small, `Copy`, and checked when used.

use core::fmt;
use core::marker::PhantomData;

/// A context's name: its place and the generation of that place, so that the name of a context
/// that has ended is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ContextId {
    /// Place among the contexts.
    pub index: u16,
    /// How often that place has been given to another.
    pub generation: u16,
}

/// A registration's name: its place and the generation of that place, so that a stale name
/// is refused and never reaches whoever was registered there next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventId {
    /// Place in the table of registrations.
    pub index: u32,
    /// How often that place has been taken or given back; odd, so never 0.
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

/// A context whose state is an `S`: what a handler of `&mut S` is registered with.
///
/// The type is a promise the kernel checks at registration, not a proof: a handle forged
/// with another `S` is refused with [`Error::WrongState`](crate::Error::WrongState).
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
        write!(f, "Context({}.{})", self.id.index, self.id.generation)
    }
}
