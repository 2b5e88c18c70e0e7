//! Collections as a context has them.

use reflex_collections::{Keyed, Memory};
use reflex_memory::{Error, Own, Pool};
use reflex_testkit::pool;

fn run<R>(pool: &'static Pool, work: impl for<'run> FnOnce(Own<'run>) -> R) -> R {
    // SAFETY: each test is its pool's owner, and nothing is reclaimed.
    work(unsafe { Own::new(pool) })
}

fn memory(own: Own<'_>) -> Memory {
    Memory::new(own, Keyed::new([7; 16]))
}

#[test]
fn each_kind_is_made_in_the_pool_and_gives_it_back() {
    let pool = pool(64 << 10);
    run(pool, |own| {
        let memory = memory(own);
        let (mut map, mut set, mut vec) = (memory.map(), memory.set(), memory.vec());
        let mut name = memory.string();
        assert_eq!(pool.stats().blocks, 0);
        name.push_str("session 1");
        map.insert(name.clone(), 1);
        set.insert((1, 2));
        vec.push(name);
        let boxed = memory.boxed([5_u64; 10]).unwrap();
        assert_eq!((map.get("session 1"), set.contains(&(1, 2))), (Some(&1), true));
        assert_eq!((vec[0].as_str(), boxed[9]), ("session 1", 5));
        for part in [vec.as_ptr().cast::<u8>(), (&raw const *boxed).cast(), vec[0].as_ptr()] {
            assert!(pool.contains(part));
        }
        assert_eq!(memory.stats().blocks, 6);
        drop((map, set, vec, boxed));
        assert_eq!((memory.stats().blocks, memory.available()), (0, pool.stats().capacity));
    });
}

#[test]
fn a_value_that_finds_no_room_comes_back() {
    run(pool(4_096), |own| {
        let refused = memory(own).boxed([9_u8; 8_192]).unwrap_err();
        assert_eq!((refused.error, refused.value[0]), (Error::Exhausted, 9));
    });
}

/// Two contexts hash the same keys differently; one hashes them alike in all of its maps.
#[test]
fn the_hash_is_of_the_context() {
    use std::hash::BuildHasher;
    let [one, other] = [[1; 16], [2; 16]].map(Keyed::new);
    assert_eq!(one.hash_one(5), Keyed::new([1; 16]).hash_one(5));
    assert_ne!(one.hash_one(5), other.hash_one(5));
}
