//! A pool as other cores see it, and what they have given back.

use super::state::State;
use super::{Pool, PoolStats};

impl Pool {
    /// The same pool, of another core than the one it was made on. Nothing of it has been handed out yet.
    #[must_use]
    pub fn of_core(mut self, core: u32) -> Self {
        // Where there is one core, it stays that.
        self.core = self.core.map(|_| core);
        self
    }

    /// Whether this runs on another core than the pool's. With one core it is a comparison.
    #[inline(always)]
    pub(super) fn is_elsewhere(&self) -> bool {
        self.core.is_some() && self.is_other_core()
    }

    #[cold]
    #[inline(never)]
    fn is_other_core(&self) -> bool {
        self.exclusion.core() != self.core
    }

    /// Gives a lent block back on another core.
    ///
    /// # Safety
    /// Nothing uses the lent block that begins at `place` any more.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn give_across(&self, place: usize) {
        self.returned.put(place, |link| {
            // SAFETY: the block has at least 16 bytes, is aligned so, and is in the region; nothing uses it, says the
            // caller, and the pool's own core does not before `put` has put it onto the list.
            unsafe { self.link_at(place).write(link) };
        });
    }

    /// Has all blocks that came back on other cores, a step at a time.
    #[inline(always)]
    pub(super) fn collect(&self) {
        if self.core.is_some() {
            self.collect_all();
        }
    }

    #[cold]
    #[inline(never)]
    fn collect_all(&self) {
        let link = |place: usize| {
            // Links lie in memory that was handed out, that of a device say: one that was overwritten since leads to no memory
            // outside of the pool. It ends the list, and what is behind it stays taken.
            let is_place = place < self.capacity() && place.is_multiple_of(self.smallest);
            debug_assert!(is_place, "something wrote to a block that it had given back");
            // SAFETY: a granule of the region begins there. By the invariant of boxes it is that of a block on the
            // list, where `give_across` has written a link before it was put there, and nothing else writes any more.
            is_place.then(|| unsafe { self.link_at(place).read() })
        };
        // SAFETY: what is on the list was given back by its holder.
        while self.with(|state: &mut State| unsafe { state.collect_step(&self.returned, link) }) {}
    }

    /// Where a block at this place has its link.
    fn link_at(&self, place: usize) -> *mut u64 {
        self.base.as_ptr().wrapping_add(place).cast()
    }

    /// All that is known of a pool elsewhere: what never changes.
    #[cold]
    pub(super) fn stats_elsewhere(&self) -> PoolStats {
        PoolStats { capacity: self.capacity(), ..PoolStats::default() }
    }
}
