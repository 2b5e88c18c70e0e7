//! Collections in a pool: they hold what those of the global heap would, are bounded, and leave nothing.

use crate::common::{arena, pool, pools, reclaim, run};
use allocator_api2::alloc::{Allocator, Layout};
use allocator_api2::boxed::Box as PoolBoxed;
use allocator_api2::vec::Vec as PoolVec;
use core::fmt::Write;
use hashbrown::HashMap;
use proptest::prelude::*;
use reflex_memory::{Content, PoolAllocator, String as PoolString};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

type PoolMap<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>, PoolAllocator>;

#[derive(Clone, Debug)]
enum Step {
    Push(usize, Vec<u8>),
    Shrink(usize),
    Clear(usize),
    Insert(u16, u64),
    Remove(u16),
    Text(std::string::String),
    Pop,
    Cut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize, prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(at, b)| Step::Push(at, b)),
        (0..3usize).prop_map(Step::Shrink),
        (0..3usize).prop_map(Step::Clear),
        (0..60u16, any::<u64>()).prop_map(|(key, value)| Step::Insert(key, value)),
        (0..60u16).prop_map(Step::Remove),
        "\\PC{0,8}".prop_map(Step::Text),
        Just(Step::Pop),
        (0..40usize).prop_map(Step::Cut),
    ]
}

proptest! {
    /// Whatever is done, a collection holds what its model does; what is refused changes nothing; and when all
    /// are dropped, or forgotten and reclaimed, the pool is whole.
    #[test]
    fn collections_agree_with_those_of_the_heap(
        steps in prop::collection::vec(step(), 0..80),
        dropped: bool,
    ) {
        for pool in pools() {
            let whole = pool.stats().largest_free;
            run(pool, |own| {
                let within = own.allocator();
                let mut vecs = [const { PoolVec::<u8, _>::new_in }; 3].map(|new| new(within));
                let mut map = PoolMap::with_hasher_in(Default::default(), within);
                let mut text = PoolString::new_in(within);
                let mut model = Model::default();
                for step in &steps {
                    match step.clone() {
                        Step::Push(at, bytes) => {
                            if vecs[at].try_reserve(bytes.len()).is_ok() {
                                vecs[at].extend_from_slice(&bytes);
                                model.vecs[at].extend_from_slice(&bytes);
                            }
                        }
                        Step::Shrink(at) => vecs[at].shrink_to_fit(),
                        Step::Clear(at) => {
                            vecs[at] = PoolVec::new_in(within);
                            model.vecs[at].clear();
                        }
                        Step::Insert(key, value) => {
                            if map.try_reserve(1).is_ok() {
                                prop_assert_eq!(map.insert(key, value), model.map.insert(key, value));
                            }
                        }
                        Step::Remove(key) => {
                            prop_assert_eq!(map.remove(&key), model.map.remove(&key));
                        }
                        Step::Text(more) => {
                            if text.write_str(&more).is_ok() {
                                model.text.push_str(&more);
                            }
                        }
                        Step::Pop => prop_assert_eq!(text.pop(), model.text.pop()),
                        Step::Cut(at) => {
                            if model.text.is_char_boundary(at) {
                                text.truncate(at);
                                model.text.truncate(at);
                            }
                        }
                    }
                    for (vec, model) in vecs.iter().zip(&model.vecs) {
                        prop_assert_eq!(vec.as_slice(), model.as_slice());
                    }
                    prop_assert_eq!(text.as_str(), model.text.as_str());
                    let sorted: BTreeMap<u16, u64> = map.iter().map(|(k, v)| (*k, *v)).collect();
                    prop_assert_eq!(&sorted, &model.map);
                }
                prop_assert_eq!(pool.stats().lent_blocks, 0);
                if !dropped {
                    std::mem::forget((vecs, map, text));
                }
                Ok(())
            })?;
            if !dropped {
                // SAFETY: the run is over; it left nothing that is used.
                unsafe { reclaim(pool) };
            }
            let stats = pool.stats();
            prop_assert_eq!((stats.allocated, stats.blocks, stats.largest_free), (0, 0, whole));
        }
    }
}

#[derive(Default)]
struct Model {
    vecs: [Vec<u8>; 3],
    map: BTreeMap<u16, u64>,
    text: std::string::String,
}

#[test]
fn what_a_pool_refuses_is_an_error_and_is_counted() {
    for pool in pools() {
        run(pool, |own| {
            let within = own.allocator();
            let before = pool.stats();
            let mut vec = PoolVec::<u64, _>::new_in(within);
            for more in [before.capacity / 8 + 1, usize::MAX / 16, usize::MAX] {
                assert!(vec.try_reserve_exact(more).is_err(), "{more}");
            }
            assert!(
                PoolMap::<u64, u64>::with_hasher_in(Default::default(), within)
                    .try_reserve(before.capacity)
                    .is_err()
            );
            assert!(PoolBoxed::try_new_in([0_u64; 1_000], within).is_err());
            let mut text = PoolString::try_from_in("as it was", within).unwrap();
            assert!(text.try_push_str(&"x".repeat(before.capacity)).is_err());
            assert!(write!(text, "{:8192}", 1).is_err());
            assert!(PoolString::try_from_in(&"x".repeat(before.capacity), within).is_err());
            // What was written before the refusal stays.
            text.truncate(9);
            assert_eq!(text, "as it was");
            drop(text);
            let after = pool.stats();
            // What overflows a layout never comes to the pool.
            assert!(after.failures - before.failures >= 4, "{after:?}");
            assert_eq!((after.allocated, after.blocks), (0, 0));
        });
    }
}

/// A block that is large enough already is not moved, and its content comes along when it is.
#[test]
fn a_block_grows_where_it_is_as_far_as_it_goes() {
    let pool = pool(4_096, 0, 32, Content::Objects).unwrap();
    run(pool, |own| {
        let mut vec = PoolVec::<u8, _>::with_capacity_in(33, own.allocator());
        vec.push(7);
        let at = vec.as_ptr();
        let blocks = pool.stats().blocks;
        vec.reserve_exact(63);
        assert_eq!((vec.as_ptr(), pool.stats().blocks), (at, blocks));
        vec.reserve_exact(64);
        assert_ne!(vec.as_ptr(), at);
        assert_eq!((vec[0], pool.stats().allocated), (7, 128));
        vec.shrink_to_fit();
        assert_eq!((vec[0], pool.stats().allocated), (7, 32));
    });
}

/// Alignments up to the region's are kept, and larger ones refused; a pool for bytes has no collections.
#[test]
fn blocks_are_aligned_or_refused() {
    let objects = pool(64 << 10, 0, 32, Content::Objects).unwrap();
    let bytes = pool(4_096, 0, 32, Content::Bytes).unwrap();
    let layout = |align| Layout::from_size_align(8, align).unwrap();
    run(objects, |own| {
        let within = own.allocator();
        for shift in 0..=12 {
            let block = within.allocate(layout(1 << shift)).unwrap().cast::<u8>();
            assert!(block.addr().get().is_multiple_of(1 << shift));
            // SAFETY: it was just taken, with that layout.
            unsafe { within.deallocate(block, layout(1 << shift)) };
        }
        assert!(within.allocate(layout(1 << 20)).is_err());
        assert_eq!(within.pool().stats().blocks, 0);
    });
    run(bytes, |own| assert!(own.allocator().allocate(layout(1)).is_err()));
    run(arena(4_096), |own| {
        let none = own.allocator().allocate(Layout::new::<()>()).unwrap();
        assert_eq!((none.len(), own.pool().stats().blocks), (0, 0));
    });
}

/// A shrinking collection for which no smaller block is free keeps the one it has.
#[test]
fn a_full_pool_lets_collections_shrink() {
    let pool = pool(4_096, 0, 32, Content::Objects).unwrap();
    run(pool, |own| {
        let mut vec = PoolVec::<u8, _>::with_capacity_in(1_024, own.allocator());
        vec.extend_from_slice(&[3; 10]);
        let mut rest = Vec::new();
        while let Ok(one) = own.bytes(32) {
            rest.push(one);
        }
        vec.shrink_to_fit();
        assert_eq!(vec, [3; 10]);
        drop((vec, rest));
        assert_eq!(pool.stats().allocated, 0);
    });
}

#[test]
#[should_panic = "between characters"]
fn a_string_is_not_cut_inside_of_a_character() {
    run(pools()[0], |own| PoolString::try_from_in("ä", own.allocator()).unwrap().truncate(1));
}
