//! What the global heap has counted.

use core::fmt;
use reflex_runtime::memory;

/// What the heap has, and calls since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Allocations, those that failed included.
    pub allocations: u64,
    /// Deallocations.
    pub deallocations: u64,
    /// Allocations that failed.
    pub refused: u64,
    /// Bytes that were asked for and not given back.
    pub used: usize,
    /// Bytes it has got so far.
    pub size: usize,
    /// Bytes it may have.
    pub bound: usize,
    /// Bytes in use that were lost with contexts which failed.
    pub lost: u64,
}

impl Counters {
    /// Bytes that can still be asked for, where there are no holes: free ones, and those by which the heap
    /// may grow out of what the machine has.
    pub fn free(&self) -> usize {
        let growth = self.bound.saturating_sub(self.size).min(memory::available());
        self.size.saturating_sub(self.used) + growth
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, size, bound, .. } = self;
        let machine = memory::available();
        write!(
            f,
            "{used} of {size} bytes are in use, {bound} allowed, {machine} left in the machine"
        )
    }
}
