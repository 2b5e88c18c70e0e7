//! Registered memory as the engine sees it: regions found by key, and copies in and out of them.
//!
//! The engine never holds payload. What arrives is written from the received frame to its place
//! by [`Memory::write`]; what is to be sent is named by [`Segment`]s, and the code that emits the
//! packet reads it, by [`Memory::read`], into the frame. So each byte is copied once on either
//! side.

use crate::Access;
use core::fmt;
use reflex_rdma_wire::RKey;

/// One registration of memory. A name is never used again: one that was deregistered is
/// [`Gone`] for good, which is what stops work that was in flight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Region(pub u64);

/// A protection domain: keys are valid only for queue pairs of their region's domain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Domain(pub u64);

/// A byte of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The region.
    pub region: Region,
    /// Bytes from its start.
    pub offset: u64,
}

impl Place {
    /// `bytes` further on.
    #[inline]
    pub const fn plus(self, bytes: u64) -> Self {
        Self { region: self.region, offset: self.offset.wrapping_add(bytes) }
    }
}

/// Bytes of a region that a message is gathered from or scattered to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// The region.
    pub region: Region,
    /// Bytes from its start.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

impl Segment {
    /// Its first byte.
    #[inline]
    pub const fn place(&self) -> Place {
        Place { region: self.region, offset: self.offset }
    }
}

/// The memory is not there, or not to be used so: deregistered, or out of its region's bounds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory is no longer registered, or the place lies outside of it")
    }
}

impl core::error::Error for Gone {}

/// What an atomic operation does to eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Atomic {
    /// Becomes `swap` if it was `compare`.
    CompareSwap {
        /// What it has to be.
        compare: u64,
        /// What it becomes.
        swap: u64,
    },
    /// Becomes the sum, modulo 2^64.
    FetchAdd {
        /// What is added.
        add: u64,
    },
}

impl Atomic {
    /// What `original` becomes.
    #[inline]
    pub const fn apply(self, original: u64) -> u64 {
        match self {
            Self::CompareSwap { compare, swap } if original == compare => swap,
            Self::CompareSwap { .. } => original,
            Self::FetchAdd { add } => original.wrapping_add(add),
        }
    }
}

/// The registered memory of a port. Every method checks the bounds: a place or a length may come
/// from a peer that lies.
pub trait Memory {
    /// Where `address` lies, if `key` names a region of that domain that covers `length` bytes
    /// from there and permits `access`.
    fn find(
        &self,
        domain: Domain,
        key: RKey,
        address: u64,
        length: u32,
        access: Access,
    ) -> Option<Place>;

    /// Copies `into.len()` bytes out of a region.
    ///
    /// # Errors
    /// [`Gone`]; nothing that matters was then written to `into`.
    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Gone>;

    /// Copies bytes into a region.
    ///
    /// # Errors
    /// [`Gone`]; nothing was then written.
    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Gone>;

    /// Carries out an atomic operation on eight bytes in the machine's byte order, and returns
    /// what was there.
    ///
    /// # Errors
    /// [`Gone`]; nothing was then written.
    fn update(&mut self, place: Place, operation: Atomic) -> Result<u64, Gone>;

    /// Takes a region's remote key back, at the peer's request.
    ///
    /// # Errors
    /// [`Gone`] when the domain has no such key.
    fn invalidate(&mut self, domain: Domain, key: RKey) -> Result<(), Gone>;
}
