//! What the paths in a hurry promise: one exclusion for a block that was just given, and nobody
//! told but of refusals.

use crate::common::Lock;
use reflex_memory::{Content, Error, Exclusion, Granule, Own, Pool};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// An exclusion that counts how often it is entered, and notes the owner that was refused.
#[derive(Default)]
struct Counting {
    lock: Lock,
    entered: AtomicUsize,
    refused: Mutex<Vec<u32>>,
}

// SAFETY: as the lock within.
unsafe impl Exclusion for Counting {
    fn enter(&self) {
        self.lock.enter();
        self.entered.fetch_add(1, Relaxed);
    }

    fn leave(&self) {
        self.lock.leave();
    }

    fn refused(&self, owner: u32) {
        self.refused.lock().unwrap().push(owner);
    }
}

/// A pool of 32 granules of 64 bytes, and what guards it.
fn counted() -> (&'static Pool, &'static Counting) {
    #[repr(C, align(4096))]
    struct Page([u8; 4096]);
    let page = NonNull::from(Box::leak(Box::new(Page([0; 4096])))).cast::<u8>();
    let region = NonNull::slice_from_raw_parts(page, 32 * (64 + 5));
    let counting: &Counting = Box::leak(Box::default());
    let granule = Granule::new(64).unwrap();
    // SAFETY: leaked, and used for nothing else.
    let pool = unsafe { Pool::new(region, granule, Content::Objects, counting) }.unwrap();
    assert_eq!(pool.available(), 32 * 64);
    (Box::leak(Box::new(pool)), counting)
}

/// Blocks of up to eight granules that were just given are taken again in one exclusion, and given
/// in one, also when as much as ever is taken.
#[test]
fn what_was_just_given_is_taken_in_one_exclusion() {
    let (pool, counting) = counted();
    let entered = |work: &mut dyn FnMut()| {
        let before = counting.entered.load(Relaxed);
        work();
        counting.entered.load(Relaxed) - before
    };
    for granules in [1, 2, 4, 8] {
        let bytes = granules * 64;
        for own in [false, true] {
            let mut once = || {
                if own {
                    // SAFETY: this test is the pool's owner, and what it takes it gives here.
                    drop(unsafe { Own::new(pool) }.bytes(bytes).unwrap());
                } else {
                    drop(pool.bytes(bytes).unwrap());
                }
            };
            once();
            assert_eq!(entered(&mut once), 2, "{granules} granules, own: {own}");
        }
        // Where all has been taken once.
        let all: Vec<_> = std::iter::from_fn(|| pool.bytes(bytes).ok()).collect();
        drop(all);
        assert_eq!(entered(&mut || drop(pool.bytes(bytes).unwrap())), 2, "{granules} granules");
    }
    assert_eq!(pool.stats().allocated, 0);
}

/// Up to as many as have ever been taken there is nothing to note.
#[test]
fn at_the_peak_the_last_block_is_as_quick() {
    let (pool, counting) = counted();
    let held: Vec<_> = (0..9).map(|_| pool.bytes(64).unwrap()).collect();
    drop(held);
    let held: Vec<_> = (0..8).map(|_| pool.bytes(64).unwrap()).collect();
    let before = counting.entered.load(Relaxed);
    let ninth = pool.bytes(64).unwrap();
    assert_eq!(counting.entered.load(Relaxed) - before, 1, "as many as there have been");
    let before = counting.entered.load(Relaxed);
    let tenth = pool.bytes(64).unwrap();
    assert!(counting.entered.load(Relaxed) - before > 1, "more than there have been");
    assert_eq!(pool.stats().peak, 10 * 64);
    drop((held, ninth, tenth));
}

/// An owner is told of each refusal for want of room, by its number, and of nothing else.
#[test]
fn refusals_are_told_to_the_owner() {
    let (pool, counting) = counted();
    let told = || std::mem::take(&mut *counting.refused.lock().unwrap());
    assert!(pool.bytes(64 * 33).is_err());
    assert_eq!(told(), [], "it has no owner");
    pool.set_owner(7);
    let held = pool.bytes(64).unwrap();
    assert_eq!(told(), []);
    assert_eq!(pool.bytes(64 * 33).unwrap_err(), Error::TooLarge);
    assert_eq!(pool.bytes(64 * 32).unwrap_err(), Error::Exhausted);
    assert_eq!(pool.bytes(usize::MAX).unwrap_err(), Error::TooLarge);
    assert_eq!(told(), [7; 3]);
    drop(held);
    pool.set_owner(0);
    let held = pool.bytes(64 * 32).unwrap();
    assert!(pool.alloc(1).is_err() && pool.alloc_reserved(1).is_err());
    // SAFETY: this test is the pool's owner; nothing is reclaimed.
    let own = unsafe { Own::new(pool) };
    assert!(own.alloc(1).is_err() && own.alloc_reserved(1).is_err());
    assert_eq!((told(), pool.stats().failures), (vec![0; 4], 8));
    drop(held);
}

/// All there is can be set aside, and not a byte more.
#[test]
fn all_there_is_can_be_set_aside() {
    let (pool, _) = counted();
    assert_eq!(pool.reserve(32 * 64 + 1), Err(Error::Exhausted));
    assert_eq!(pool.reserve(usize::MAX), Err(Error::Exhausted));
    assert_eq!(pool.reserve(32 * 64), Ok(()));
    assert_eq!((pool.available(), pool.stats().reserved), (0, 32 * 64));
    assert_eq!(pool.reserve(1), Err(Error::Exhausted));
    assert!(pool.bytes(1).is_err());
    drop(pool.alloc_reserved([0_u8; 64 * 32]).unwrap());
    pool.unreserve(64 + 1);
    assert_eq!(pool.available(), 64, "a part of a granule holds all of it back");
    pool.unreserve(usize::MAX);
    assert_eq!((pool.available(), pool.stats().reserved), (32 * 64, 0));
}
