//! A pool that several cores reach: threads, each of which says which core it is.

use crate::common;
use reflex_memory::{Content, Error, Exclusion, Exposed, Granule, Lent, Pool, Shared};
use std::cell::Cell;
use std::sync::mpsc;

thread_local! {
    static CORE: Cell<u32> = const { Cell::new(0) };
    /// The core of the pool that this thread is about to use.
    static OWNER: Cell<u32> = const { Cell::new(0) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Holds back nothing: one thread a core, and no other core comes inside.
struct Cores;

// SAFETY: a core has one thread here, which is inside once at a time; what other cores do is the pool's affair.
unsafe impl Exclusion for Cores {
    fn enter(&self) {
        assert!(
            !INSIDE.replace(true) && CORE.get() == OWNER.get(),
            "another core came into the pool"
        );
    }

    fn leave(&self) {
        INSIDE.set(false);
    }

    fn core(&self) -> Option<u32> {
        Some(CORE.get())
    }
}

const BYTES: usize = 1 << 16;

fn pool(content: Content) -> &'static Pool {
    Box::leak(Box::new(made(content)))
}

fn made(content: Content) -> Pool {
    let granule = Granule::new(16).expect("a granule");
    // SAFETY: the region is this pool's alone, for good.
    let pool = unsafe { Pool::new(common::region(0, BYTES), granule, content, &Cores) };
    pool.expect("a pool")
}

/// Runs `work` on another core.
fn elsewhere<R: Send>(core: u32, work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let on = move || {
            CORE.set(core);
            work()
        };
        scope.spawn(on).join().expect("it ends")
    })
}

#[test]
fn what_is_dropped_on_another_core_comes_back() {
    for content in [Content::Objects, Content::Bytes] {
        let pool = pool(content);
        let whole = pool.available();
        let lent: Vec<Lent<[u8]>> =
            (0..40).map(|number| pool.bytes(1 + 37 * number).expect("room")).collect();
        let exposed = Exposed::new(pool.bytes(100).expect("room"));
        elsewhere(1, move || drop((lent, exposed)));
        let stats = pool.stats();
        assert_eq!((stats.blocks, stats.lent, stats.failures), (0, 0, 0));
        assert_eq!(pool.available(), whole);
    }
}

#[test]
fn the_last_holder_may_be_on_another_core() {
    let pool = pool(Content::Objects);
    let shared = Shared::new(pool, [7_u64; 5]).expect("room");
    let other = shared.clone();
    drop(shared);
    elsewhere(2, move || assert_eq!(*other, [7; 5]));
    assert_eq!(pool.stats().blocks, 0);
}

/// What a full pool has lent is had as soon as it has come back.
#[test]
fn a_full_pool_serves_again_with_what_came_back() {
    let pool = pool(Content::Objects);
    let mut lent = Vec::new();
    while let Ok(boxed) = pool.alloc([0_u64; 2]) {
        lent.push(boxed);
    }
    let count = lent.len();
    elsewhere(1, move || drop(lent));
    let again: Vec<_> = (0..count).map(|_| pool.alloc([1_u64; 2])).collect();
    assert!(again.iter().all(Result::is_ok), "all blocks are there again");
    assert_eq!(pool.stats().failures, 1, "the one that found it full");
}

#[test]
fn another_core_takes_nothing() {
    let pool = pool(Content::Objects);
    let before = pool.stats();
    elsewhere(3, || {
        assert_eq!(pool.alloc(1_u8).map(drop).map_err(Error::from), Err(Error::OtherCore));
        assert_eq!(pool.alloc_reserved(1_u8).map(drop).map_err(Error::from), Err(Error::OtherCore));
        assert_eq!(pool.bytes(3).map(drop), Err(Error::OtherCore));
        assert_eq!(pool.bytes(usize::MAX).map(drop), Err(Error::OtherCore));
        assert_eq!(pool.slice(3, || 0_u8).map(drop), Err(Error::OtherCore));
        assert_eq!(pool.reserve(16), Err(Error::OtherCore));
        pool.unreserve(16);
        assert_eq!(pool.available(), 0);
        assert_eq!((pool.stats().capacity, pool.stats().largest_free), (before.capacity, 0));
    });
    assert_eq!(pool.stats(), before);
}

#[test]
fn a_pool_may_be_made_for_another_core() {
    let pool: &'static Pool = Box::leak(Box::new(made(Content::Objects).of_core(2)));
    assert_eq!(pool.bytes(3).map(drop), Err(Error::OtherCore));
    let whole = elsewhere(2, || {
        OWNER.set(2);
        pool.available()
    });
    let lent = elsewhere(2, || {
        OWNER.set(2);
        pool.bytes(3).expect("room")
    });
    drop(lent);
    let left = elsewhere(2, || {
        OWNER.set(2);
        pool.available()
    });
    assert_eq!(left, whole);
}

/// A scheme's blocks have room for the link, those of values without a size too.
#[test]
fn blocks_of_a_scheme_come_back_too() {
    let scheme = Box::leak(Box::new(common::FirstFit::new(0, 4096)));
    let pool: &'static Pool =
        Box::leak(Box::new(Pool::with_scheme(scheme, &Cores).expect("a pool")));
    let (nothing, something) =
        (pool.alloc(()).expect("room"), pool.alloc([3_u8; 100]).expect("room"));
    let kept = pool.alloc([9_u64; 4]).expect("room");
    elsewhere(1, move || drop((nothing, something)));
    assert_eq!(pool.stats().blocks, 1);
    assert_eq!(*kept, [9; 4]);
}

/// Three cores give back what the owner goes on to take, as fast as they can: each value is whole when it is dropped,
/// and in the end all is there again.
#[test]
fn cores_give_back_while_the_owner_takes() {
    const ROUNDS: u32 = 20_000;

    struct Checked([u32; 4]);

    impl Drop for Checked {
        fn drop(&mut self) {
            assert!(self.0.iter().all(|number| *number == self.0[0]), "a block was had twice");
        }
    }

    let pool = pool(Content::Objects);
    let whole = pool.available();
    std::thread::scope(|scope| {
        let cores = [1, 2, 3].map(|core| {
            let (sender, receiver) = mpsc::channel::<Lent<Checked>>();
            scope.spawn(move || {
                CORE.set(core);
                receiver.into_iter().for_each(drop);
            });
            sender
        });
        for number in 0..ROUNDS {
            // Full while the others have it all: it comes back.
            let boxed = loop {
                match pool.alloc(Checked([number; 4])) {
                    Ok(boxed) => break boxed,
                    Err(refused) => {
                        assert_eq!(refused.error, Error::Exhausted);
                        std::thread::yield_now();
                    }
                }
            };
            cores[number as usize % 3].send(boxed).expect("it listens");
        }
    });
    assert_eq!((pool.stats().blocks, pool.available()), (0, whole));
}
