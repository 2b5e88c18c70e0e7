//! What comes back to a pool from other cores: a list that any core puts blocks onto, and that the pool's own takes
//! as a whole.
//!
//! The link is in the block, which nobody uses any more (Treiber, "Systems Programming: Coping with Parallelism", 1986). Since
//! the owner takes all of them at once, no block is taken while its successor changes, and none comes back in
//! between.

use crate::sync::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A list of blocks by their places, newest first.
#[derive(Debug)]
pub(crate) struct Returned {
    /// The newest block's place, plus 1; 0 when there is none.
    newest: AtomicU64,
}

impl Returned {
    pub(crate) fn new() -> Self {
        Self { newest: AtomicU64::new(0) }
    }

    /// Puts the block at `place` onto the list. Lock-free; `link` writes to the block which one follows it, as
    /// [`take`](Self::take) tells it.
    pub(crate) fn put(&self, place: usize, link: impl Fn(u64)) {
        let mut newest = self.newest.load(Relaxed);
        loop {
            link(newest);
            // Releases the link, and what was done with the block before.
            match self.newest.compare_exchange_weak(newest, place as u64 + 1, Release, Relaxed) {
                Ok(_) => return,
                Err(changed) => newest = changed,
            }
        }
    }

    /// Takes the list: its first block's place, plus 1, or 0. Each block has its successor's in it.
    #[inline]
    pub(crate) fn take(&self) -> u64 {
        // Most of the time there is none, and then the word need not be written.
        if self.newest.load(Relaxed) == 0 { 0 } else { self.newest.swap(0, Acquire) }
    }
}
