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

    fn refused(&self, owner: u32, _: &Pool, _: usize) {
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

/// An owner that takes more than ever has a larger block split for every eighth, if one must be: the
/// others are as quick as any, follow each other, and are counted.
#[test]
fn growth_splits_for_every_eighth_block() {
    let (pool, counting) = counted();
    for granules in [1, 2] {
        let bytes = granules * 64;
        let mut held = Vec::new();
        for number in 0..16 {
            let before = counting.entered.load(Relaxed);
            held.push(pool.bytes(bytes).unwrap());
            let quick = counting.entered.load(Relaxed) - before == 1;
            assert_eq!(quick, number % 8 != 0, "block {number} of {granules} granules");
            assert_eq!(pool.available(), 32 * 64 - held.len() * bytes);
        }
        let starts: Vec<_> = held.iter().map(|block| block.as_ptr().addr()).collect();
        for eight in starts.chunks(8) {
            assert!(eight.is_sorted() && eight[7] - eight[0] == 7 * bytes, "{starts:x?}");
        }
        drop(held);
        let stats = pool.stats();
        assert_eq!((stats.peak, stats.allocated), (16 * bytes, 0));
        assert_eq!(stats.largest_free, 32 * 64, "whole again");
    }
}

/// Where a smaller free block will do, none is split for a magazine; and what a magazine holds is to be
/// had as a larger block.
#[test]
fn nothing_is_split_or_kept_in_vain() {
    let (pool, _) = counted();
    // All but the first eight, of which the second half then lies free in a list.
    let first = pool.bytes(64 * 4).unwrap();
    let held: Vec<_> = [4, 8, 16].into_iter().map(|n| pool.bytes(64 * n).unwrap()).collect();
    let _ = pool.stats();
    drop(first);
    let _ = pool.stats();
    let one = pool.bytes(64).unwrap();
    assert_eq!(pool.stats().largest_free, 64 * 2, "two, one and one are left of four");
    drop(one);
    drop(held);
    let one = pool.bytes(64).unwrap();
    let rest = pool.bytes(64 * 16).unwrap();
    assert!(pool.bytes(64 * 8).is_ok(), "what the magazine holds does not stand in the way");
    drop((one, rest));
    assert_eq!(pool.stats().largest_free, 32 * 64);
}

/// An owner is told of each refusal for want of room, by its number, and of nothing else.
#[test]
fn refusals_are_told_to_the_owner() {
    let (pool, counting) = counted();
    let told = || std::mem::take(&mut *counting.refused.lock().unwrap());
    assert!(pool.bytes(64 * 33).is_err());
    assert_eq!((told(), pool.owner()), (vec![], None));
    pool.set_owner(7);
    assert_eq!(pool.owner(), Some(7));
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

/// A block that was just given stays where it is when it is set aside for others, also in part.
#[test]
fn what_is_set_aside_is_not_taken_in_a_hurry() {
    let (pool, _) = counted();
    for granules in [1, 2, 4, 8] {
        let bytes = granules * 64;
        drop(pool.bytes(bytes).unwrap());
        let most = 32 * 64 - bytes;
        pool.reserve(most + 64).unwrap();
        // SAFETY: this test is the pool's owner; nothing is reclaimed.
        let own = unsafe { Own::new(pool) };
        assert_eq!(pool.bytes(bytes).unwrap_err(), Error::Exhausted, "{granules} granules");
        assert!(own.bytes(bytes).is_err(), "{granules} granules");
        pool.unreserve(64);
        assert!(pool.bytes(bytes).is_ok() && own.bytes(bytes).is_ok(), "{granules} granules");
        pool.unreserve(most);
    }
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
