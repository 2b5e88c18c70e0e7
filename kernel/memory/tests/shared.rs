//! Shared values: which copy drops them, and when the block comes back.

use crate::common;
use common::pool;
use reflex_memory::{Content, Error, Pool, Shared};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Counts its drops.
struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn objects() -> &'static Pool {
    pool(1_024, 0, 16, Content::Objects).unwrap()
}

#[test]
fn the_last_share_drops_the_value_and_gives_its_block_back() {
    let pool = objects();
    let drops = Arc::new(AtomicUsize::new(0));
    let first = Shared::new(pool, Tally(drops.clone())).unwrap_or_else(|_| panic!("room"));
    let second = first.clone();
    let other = Shared::new(pool, Tally(Arc::default())).unwrap_or_else(|_| panic!("room"));
    assert!(first.same(&second) && !first.same(&other));
    drop(other);
    drop(first);
    assert_eq!((drops.load(Ordering::Relaxed), pool.stats().blocks), (0, 1));
    drop(second);
    assert_eq!((drops.load(Ordering::Relaxed), pool.stats().blocks), (1, 0));
}

#[test]
fn a_value_without_room_comes_back() {
    let pool = objects();
    let refused = Shared::new(pool, [7u8; 4_096]).unwrap_err();
    assert_eq!((refused.error, refused.value[4_095]), (Error::TooLarge, 7));
    assert_eq!(size_of::<Option<Shared<[u64; 50]>>>(), size_of::<usize>());
}

#[test]
fn holders_on_several_threads_drop_it_once() {
    let pool = objects();
    for _ in 0..200 {
        let drops = Arc::new(AtomicUsize::new(0));
        let shared = Shared::new(pool, Tally(drops.clone())).unwrap_or_else(|_| panic!("room"));
        thread::scope(|scope| {
            for _ in 0..4 {
                let share = shared.clone();
                scope.spawn(move || drop(share.clone()));
            }
            drop(shared);
        });
        assert_eq!((drops.load(Ordering::Relaxed), pool.stats().blocks), (1, 0));
    }
}
