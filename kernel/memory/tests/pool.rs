//! Pools: random programs against a model, and the edges one by one.

use crate::common;
use common::pool;
use proptest::prelude::*;
use reflex_memory::{Content, Error, Exclusion, Granule, Lent, Pool, PoolStats};
use std::ptr::NonNull;

#[derive(Clone, Debug)]
enum Step {
    Bytes(usize),
    Word(u64),
    Wide([u64; 9]),
    Free(usize),
}

enum Held {
    Bytes(Lent<[u8]>, u8),
    Word(Lent<u64>, u64),
    Wide(Lent<[u64; 9]>, [u64; 9]),
}

impl Held {
    fn span(&self) -> (usize, usize) {
        match self {
            Self::Bytes(held, _) => (held.as_ptr().addr(), held.len()),
            Self::Word(held, _) => ((&raw const **held).addr(), 8),
            Self::Wide(held, _) => ((&raw const **held).addr(), 72),
        }
    }

    fn intact(&self) -> bool {
        match self {
            Self::Bytes(held, fill) => held.iter().all(|byte| byte == fill),
            Self::Word(held, word) => **held == *word,
            Self::Wide(held, words) => **held == *words,
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..700).prop_map(Step::Bytes),
        2 => any::<u64>().prop_map(Step::Word),
        1 => any::<[u64; 9]>().prop_map(Step::Wide),
        5 => any::<usize>().prop_map(Step::Free),
    ];
    prop::collection::vec(step, 0..200)
}

fn block_size(granule: usize, bytes: usize) -> usize {
    granule * bytes.div_ceil(granule).max(1).next_power_of_two()
}

proptest! {
    #[test]
    fn blocks_are_apart_aligned_kept_and_counted(
        len in 64_usize..9_000,
        skew in 0_usize..200,
        granule in (4_u32..8).prop_map(|shift| 1_usize << shift),
        steps in steps(),
    ) {
        let pool = match pool(len, skew, granule, Content::Objects) {
            Ok(pool) => pool,
            Err(error) => {
                prop_assert_eq!(error, Error::RegionTooSmall);
                prop_assert!(len < 2 * granule + 16);
                return Ok(());
            }
        };
        let empty = pool.stats();
        prop_assert_eq!(pool.region().len(), empty.capacity);
        let mut held: Vec<Held> = Vec::new();
        let (mut peak, mut failures) = (0, 0);
        for (number, step) in steps.into_iter().enumerate() {
            let (bytes, taken) = match step {
                Step::Bytes(bytes) => (bytes, pool.bytes(bytes).map(|mut taken| {
                    assert!(taken.iter().all(|&byte| byte == 0));
                    taken.fill(number as u8);
                    Held::Bytes(taken, number as u8)
                })),
                Step::Word(word) => (8, pool.alloc(word)
                    .map_err(|refused| { assert_eq!(refused.value, word); refused.error })
                    .map(|taken| Held::Word(taken, word))),
                Step::Wide(words) => (72, pool.alloc(words)
                    .map_err(|refused| { assert_eq!(refused.value, words); refused.error })
                    .map(|taken| Held::Wide(taken, words))),
                Step::Free(place) => {
                    if !held.is_empty() {
                        let gone = held.swap_remove(place % held.len());
                        prop_assert!(gone.intact());
                    }
                    continue;
                }
            };
            match taken {
                Ok(new) => {
                    let (start, len) = new.span();
                    let block = block_size(granule, len);
                    prop_assert_eq!((start - pool.region().start) % block, 0);
                    prop_assert!(pool.region().end >= start + len);
                    for other in &held {
                        let (other, len) = other.span();
                        let end = other + block_size(granule, len);
                        prop_assert!(start + block <= other || end <= start);
                    }
                    held.push(new);
                }
                Err(error) => {
                    failures += 1;
                    let block = block_size(granule, bytes);
                    let stats = pool.stats();
                    prop_assert!(stats.largest_free < block);
                    prop_assert_eq!(error == Error::TooLarge, block > stats.capacity);
                }
            }
            let allocated = held.iter().map(|held| block_size(granule, held.span().1)).sum();
            peak = peak.max(allocated);
            let stats = pool.stats();
            let expected = PoolStats {
                allocated, peak, failures, blocks: held.len(),
                capacity: empty.capacity, largest_free: stats.largest_free, reserved: 0,
                lent: allocated, lent_blocks: held.len(),
            };
            prop_assert_eq!(stats, expected);
        }
        prop_assert!(held.iter().all(Held::intact));
        drop(held);
        prop_assert_eq!(pool.stats(), PoolStats { peak, failures, ..empty });
    }

    /// The table takes 5 bytes a granule, rounded to a link: nothing else is lost.
    #[test]
    fn a_region_is_used_up(granules in 1_usize..300, shift in 4_u32..12, spare in 0_usize..16) {
        let granule = 1 << shift;
        let table = granules.div_ceil(2) * 8 + granules;
        let len = granules * granule + table + spare;
        let pool = pool(len, 0, granule, Content::Bytes).unwrap();
        prop_assert_eq!(pool.stats().capacity, granules * granule);
    }
}

/// A pool of exactly `granules` granules of 64 bytes.
fn small(granules: usize, content: Content) -> &'static Pool {
    let pool = pool(granules * 64 + granules.div_ceil(2) * 8 + granules, 0, 64, content).unwrap();
    assert_eq!(pool.stats().capacity, granules * 64);
    pool
}

#[test]
fn a_pool_of_one_granule() {
    let pool = small(1, Content::Objects);
    for round in 0..3_u64 {
        let held = pool.alloc([round; 8]).unwrap();
        let refused = pool.alloc(String::from("back")).unwrap_err();
        assert_eq!((refused.error, refused.value.as_str()), (Error::Exhausted, "back"));
        assert_eq!(pool.bytes(65).unwrap_err(), Error::TooLarge);
        assert_eq!(*held, [round; 8]);
    }
    assert_eq!(pool.bytes(usize::MAX).unwrap_err(), Error::TooLarge);
    let stats = pool.stats();
    assert_eq!((stats.allocated, stats.peak, stats.failures), (0, 64, 7));
}

#[test]
fn what_cannot_hold_a_granule_is_refused() {
    for len in 0..64 + 9 {
        assert_eq!(pool(len, 0, 64, Content::Bytes).unwrap_err(), Error::RegionTooSmall);
    }
    assert!(pool(64 + 9, 0, 64, Content::Bytes).is_ok());
    assert_eq!(pool(64 + 9, 1, 64, Content::Bytes).unwrap_err(), Error::RegionTooSmall);
    assert!(pool(63 + 64 + 9, 1, 64, Content::Bytes).is_ok());
    assert_eq!(Granule::new(8), None);
    assert_eq!(Granule::new(48), None);
    assert_eq!(Granule::new(16).map(Granule::bytes), Some(16));
}

#[test]
fn bytes_of_a_byte_pool_are_zeroed_once() {
    let pool = small(1, Content::Bytes);
    let mut first = pool.bytes(64).unwrap();
    assert!(first.iter().all(|&byte| byte == 0));
    first.fill(9);
    drop(first);
    assert!(pool.bytes(64).unwrap().iter().all(|&byte| byte == 9));
    let refused = pool.alloc(1_u8).unwrap_err();
    assert_eq!((refused.error, refused.value), (Error::BytesOnly, 1));
}

#[test]
fn alignment_is_given_or_refused() {
    #[derive(Debug)]
    #[repr(align(1024))]
    struct Wide([u8; 1024]);
    #[derive(Debug)]
    #[repr(align(1024))]
    struct Empty;

    let aligned = pool(16 * 1024, 0, 64, Content::Objects).unwrap();
    let first = aligned.alloc(Wide([1; 1024])).unwrap();
    let before = aligned.stats().allocated;
    let second = aligned.alloc(Empty).unwrap();
    // The compiler takes a reference's alignment for granted: ask the pool, too.
    assert_eq!(aligned.stats().allocated - before, 1024);
    assert_eq!((&raw const *first).addr() % 1024, 0);
    assert_eq!((&raw const *second).addr() % 1024, 0);
    assert!(first.0.iter().all(|&byte| byte == 1));

    let just = pool(16 * 1024, 1024, 64, Content::Objects).unwrap();
    assert!(just.alloc(Wide([1; 1024])).is_ok() && just.alloc(Empty).is_ok());

    let skewed = pool(16 * 1024, 512, 64, Content::Objects).unwrap();
    assert_eq!(skewed.alloc(Wide([1; 1024])).unwrap_err().error, Error::Alignment);
    assert_eq!(skewed.alloc(Empty).unwrap_err().error, Error::Alignment);
    assert_eq!((&raw const *skewed.alloc([0_u8; 512]).unwrap()).addr() % 512, 0);
}

#[test]
fn a_reserve_is_for_those_it_was_made_for() {
    let pool = small(4, Content::Objects);
    pool.reserve(64).unwrap();
    pool.reserve(64).unwrap();
    assert_eq!(pool.reserve(129).unwrap_err(), Error::Exhausted);
    let ordinary = [pool.alloc(0).unwrap(), pool.alloc(1).unwrap()];
    assert_eq!(pool.alloc(2).unwrap_err().error, Error::Exhausted);
    let reserved = [pool.alloc_reserved(2).unwrap(), pool.alloc_reserved(3).unwrap()];
    assert_eq!(pool.alloc_reserved(4).unwrap_err().error, Error::Exhausted);
    drop(ordinary);
    assert_eq!(pool.alloc(5).unwrap_err().error, Error::Exhausted);
    drop(reserved);
    assert_eq!(pool.stats().reserved, 128);
    pool.unreserve(128);
    let all = [0; 4].map(|value| pool.alloc(value).unwrap());
    assert_eq!(pool.reserve(1).unwrap_err(), Error::Exhausted);
    drop(all);
    // A part of a granule holds the whole of it back.
    pool.reserve(1).unwrap();
    let _most = [0; 3].map(|value| pool.alloc(value).unwrap());
    assert_eq!(pool.alloc(3).unwrap_err().error, Error::Exhausted);
}

#[test]
fn addresses_tell_their_pool() {
    let (one, other) = (small(3, Content::Objects), small(3, Content::Objects));
    let held = one.alloc(7_u32).unwrap();
    let address = (&raw const *held).cast();
    assert!(one.contains(address) && !other.contains(address));
    assert!(std::ptr::eq(held.pool(), one));
    let region = one.region();
    assert!(one.contains(std::ptr::without_provenance(region.start)));
    assert!(one.contains(std::ptr::without_provenance(region.end - 1)));
    assert!(!one.contains(std::ptr::without_provenance(region.end)));
    assert!(!one.contains(std::ptr::without_provenance(region.start - 1)));
}

#[test]
fn threads_share_a_pool() {
    let pool = pool(4_096, 0, 16, Content::Objects).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..3_000_usize {
                    if let Ok(taken) = pool.alloc([thread; 5]) {
                        held.push(taken);
                    }
                    if round % 3 == 0 && !held.is_empty() {
                        let gone = held.swap_remove(round % held.len());
                        assert_eq!(*gone, [thread; 5]);
                    }
                }
                assert!(held.iter().all(|held| **held == [thread; 5]));
            });
        }
    });
    assert_eq!(pool.stats().allocated, 0);
    assert_eq!(pool.stats().blocks, 0);
}

/// Laying out a pool's bookkeeping takes long: nobody is excluded meanwhile.
#[test]
fn a_pool_is_made_outside_of_the_exclusion() {
    struct Never;
    // SAFETY: nobody gets in at all.
    unsafe impl Exclusion for Never {
        fn enter(&self) {
            panic!("entered");
        }

        fn leave(&self) {}
    }
    let region = NonNull::from(Box::leak(vec![0_u64; 10_000].into_boxed_slice()));
    let region = NonNull::slice_from_raw_parts(region.cast::<u8>(), 80_000);
    // SAFETY: leaked, and used for nothing else.
    let pool = unsafe { Pool::new(region, Granule::new(16).unwrap(), Content::Bytes, &Never) };
    assert!(pool.unwrap().region().len() > 60_000);
}

/// What can be asked for at every allocation needs no more than one short exclusion.
#[test]
fn what_is_available_leaves_the_reserve_out() {
    let pool = small(4, Content::Objects);
    pool.reserve(65).unwrap();
    assert_eq!(pool.available(), 128);
    let held = pool.alloc(1).unwrap();
    assert_eq!(pool.available(), 64);
    let more = [pool.alloc_reserved(2).unwrap(), pool.alloc_reserved(3).unwrap()];
    assert_eq!((pool.available(), pool.stats().blocks), (0, 3));
    drop((held, more));
    assert_eq!(pool.available(), 128);
}
