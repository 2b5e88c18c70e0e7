//! Event pools in the host's memory.

use reflex_memory::{Content, Exclusion, Granule, Pool};
use std::hint::spin_loop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// A lock: what excludes others on the host; and what is called when the pool has no room.
struct Lock<F>(AtomicBool, F);

// SAFETY: `enter` returns only when it has changed the flag from false to true, and until the
// matching `leave` changes it back nobody else can; the orderings make one holder's writes
// visible to the next.
unsafe impl<F: Fn(u32) + Sync> Exclusion for Lock<F> {
    fn enter(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            spin_loop();
        }
    }

    fn leave(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn refused(&self, owner: u32, _: &Pool, _: usize) {
        self.1(owner);
    }
}

/// A pool of about `bytes` bytes. Its memory is never given back.
pub fn pool(bytes: usize) -> &'static Pool {
    pool_telling(bytes, |_| {})
}

/// [`pool`], which calls `refused` with its owner's number when it has no room.
pub(crate) fn pool_telling(bytes: usize, refused: impl Fn(u32) + Sync + 'static) -> &'static Pool {
    pool_of(bytes, Content::Objects, refused)
}

/// [`pool_telling`], for content of a kind.
pub(crate) fn pool_of(
    bytes: usize,
    content: Content,
    refused: impl Fn(u32) + Sync + 'static,
) -> &'static Pool {
    let memory: &'static mut [u8] = Vec::leak(vec![0; bytes]);
    let region = NonNull::from(memory);
    let granule = Granule::new(64).expect("a power of two");
    let lock: &'static Lock<_> = Box::leak(Box::new(Lock(AtomicBool::new(false), refused)));
    // SAFETY: the memory is leaked and handed to nobody else.
    let pool = unsafe { Pool::new(region, granule, content, lock) };
    Box::leak(Box::new(pool.expect("the region is large enough")))
}
