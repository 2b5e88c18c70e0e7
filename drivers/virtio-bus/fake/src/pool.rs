//! Pools of frame buffers.

use reflex_memory::{Content, Exclusion, Granule, Pool};
use std::alloc::{Layout, alloc};
use std::hint::spin_loop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// A lock, for tests with threads.
struct Lock(AtomicBool);

// SAFETY: one at a time by the flag, ordered by acquire and release.
unsafe impl Exclusion for Lock {
    fn enter(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            spin_loop();
        }
    }

    fn leave(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A pool of exactly `count` buffers of 2048 bytes.
pub fn frames(count: usize) -> &'static Pool {
    let length = count * 2048 + count * 5 + 16;
    let layout = Layout::from_size_align(length, 2048).expect("a size that exists");
    // SAFETY: the layout is not empty.
    let memory = NonNull::new(unsafe { alloc(layout) }).expect("memory");
    let region = NonNull::slice_from_raw_parts(memory, length);
    let granule = Granule::new(2048).expect("a power of two");
    let lock = Box::leak(Box::new(Lock(AtomicBool::new(false))));
    // SAFETY: fresh memory that is never given back.
    let pool = unsafe { Pool::new(region, granule, Content::Bytes, lock) }.expect("a pool");
    assert_eq!(pool.stats().capacity, count * 2048);
    Box::leak(Box::new(pool))
}

/// How many of a pool's buffers are out.
pub fn pool_in_use(pool: &Pool) -> usize {
    pool.stats().blocks
}
