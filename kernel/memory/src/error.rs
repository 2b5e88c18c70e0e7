//! Why memory was refused.

use core::fmt;

/// Why an allocation, a release or a new pool was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No free block is large enough now, or what is free is held in reserve.
    Exhausted,
    /// The request is larger than the pool could ever serve.
    TooLarge,
    /// The type asks for a larger alignment than the pool's region has.
    Alignment,
    /// The pool holds bytes only, and a typed value was to be put into it.
    BytesOnly,
    /// A block was given back that is not allocated: a double or foreign release.
    NotAllocated,
    /// The code runs on another core than the pool's, which alone takes from it.
    OtherCore,
    /// The region cannot hold one granule and its bookkeeping.
    RegionTooSmall,
    /// The region has more granules than block indices can name.
    RegionTooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "the pool has no free block of the size",
            Self::TooLarge => "the request is larger than the pool could ever serve",
            Self::Alignment => "the type's alignment is larger than the pool's region has",
            Self::BytesOnly => "the pool holds bytes only",
            Self::NotAllocated => "the block that was given back is not allocated",
            Self::OtherCore => "the pool is another core's",
            Self::RegionTooSmall => "the region cannot hold one granule and its bookkeeping",
            Self::RegionTooLarge => "the region has more granules than can be named",
        })
    }
}

impl core::error::Error for Error {}

/// A value that found no place in a pool, given back to the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// Why there was no place.
    pub error: Error,
    /// The value, untouched.
    pub value: T,
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Self {
        refused.error
    }
}
