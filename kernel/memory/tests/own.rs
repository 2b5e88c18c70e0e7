//! The two kinds of boxes, and what becomes of them when the owner ends.

use crate::common;
use common::{arena, pool, pools, reclaim, run};
use proptest::prelude::*;
use reflex_memory::{Content, Cursor, Error, Lent, Own, Pool, PoolBox};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

#[test]
fn own_values_are_used_dropped_and_counted() {
    for pool in pools() {
        run(pool, |own| {
            // Not `Send`, and a destructor that is seen.
            let seen = Rc::new(Cell::new(0));
            let mut boxed = own.alloc((seen.clone(), 5)).unwrap();
            boxed.get_mut(own).1 += 1;
            assert_eq!((boxed.get(own).1, Rc::strong_count(&seen)), (6, 2));
            let stats = pool.stats();
            assert_eq!((stats.blocks, stats.lent_blocks, stats.lent), (1, 0, 0));
            drop(boxed);
            assert_eq!((pool.stats().blocks, Rc::strong_count(&seen)), (0, 1));
            let inner = own.alloc(seen.clone()).unwrap().into_inner();
            assert_eq!((pool.stats().blocks, Rc::strong_count(&inner)), (0, 2));
            let mut bytes = own.bytes(100).unwrap();
            assert!(bytes.get(own).iter().all(|byte| *byte == 0));
            bytes.get_mut(own).fill(7);
            assert_eq!(bytes.get(own), [7; 100]);
        });
        let stats = pool.stats();
        assert_eq!((stats.allocated, stats.failures), (0, 0));
    }
}

#[test]
fn lending_and_keeping_change_the_kind_of_block() {
    for (pool, other) in pools().into_iter().zip(pools()) {
        run(pool, |own| {
            let lent = own.alloc([3_u64; 4]).unwrap().lend();
            assert_eq!((pool.stats().lent_blocks, pool.stats().blocks), (1, 1));
            let lent = std::thread::spawn(move || {
                assert_eq!(*lent, [3; 4]);
                lent
            });
            let lent = lent.join().unwrap();
            let lent = run(other, |foreign| lent.keep(foreign).unwrap_err());
            let kept: PoolBox<[u64; 4]> = lent.keep(own).unwrap();
            assert_eq!((pool.stats().lent_blocks, kept.get(own)), (0, &[3; 4]));
            assert_eq!(pool.stats().lent, 0);
            let bytes = own.bytes(40).unwrap().lend();
            assert_eq!(bytes.len(), 40);
            drop((kept, bytes));
            assert_eq!(pool.stats().allocated, 0);
        });
    }
}

#[test]
fn own_boxes_respect_and_use_the_reserve() {
    for pool in pools() {
        let half = pool.available() / 2;
        pool.reserve(half).unwrap();
        run(pool, |own| {
            let mut held = Vec::new();
            let refused = loop {
                match own.alloc([0_u64; 2]) {
                    Ok(new) => held.push(new),
                    Err(refused) => break refused,
                }
            };
            assert_eq!(refused.error, Error::Exhausted);
            assert!(pool.available() < 32, "{}", pool.available());
            held.push(own.alloc_reserved([0_u64; 2]).unwrap());
            assert!(pool.stats().allocated > half - 64);
        });
    }
}

/// A byte pool has own bytes, and no other values.
#[test]
fn a_byte_pool_has_own_bytes() {
    let pool = pool(4_096, 0, 64, Content::Bytes).unwrap();
    run(pool, |own| {
        assert_eq!(own.alloc(1_u8).unwrap_err().error, Error::BytesOnly);
        assert_eq!(own.bytes(64).unwrap().get(own).len(), 64);
    });
}

/// What is lent outlives the owner, and its memory is not handed out again before it comes back.
#[test]
fn quarantine_ends_when_the_last_lent_box_comes_back() {
    for pool in pools() {
        let all = pool.available();
        let lent: Vec<Lent<[u8; 100]>> = run(pool, |own| {
            let mut lent = Vec::new();
            for round in 0..8 {
                let _ = ManuallyDrop::new(own.alloc([round; 100]).unwrap());
                lent.push(own.alloc([round; 100]).unwrap().lend());
            }
            lent
        });
        // SAFETY: the run is over, and left nothing that anybody uses.
        unsafe { reclaim(pool) };
        let stats = pool.stats();
        assert_eq!((stats.blocks, stats.lent_blocks), (8, 8));
        assert_eq!(stats.allocated, stats.lent);
        // The next owner takes all there is, and writes to it.
        let next: Vec<_> = std::iter::from_fn(|| pool.alloc([0xFF_u8; 20]).ok()).collect();
        assert!(next.len() > 20);
        for (round, lent) in lent.iter().enumerate() {
            assert_eq!(**lent, [round as u8; 100]);
        }
        drop((lent, next));
        assert_eq!((pool.available(), pool.stats().blocks), (all, 0));
    }
}

/// One step of reclaiming looks at 64 granules or takes a step of giving one block back.
#[test]
fn reclaiming_takes_bounded_steps() {
    let pool = pool(64 << 10, 0, 32, Content::Objects).unwrap();
    let granules = pool.stats().capacity / 32;
    // SAFETY: there was no owner yet.
    assert_eq!(unsafe { reclaim(pool) }, granules.div_ceil(64) + 1);
    run(pool, |own| {
        while let Ok(new) = own.alloc(0_u8) {
            let _ = ManuallyDrop::new(new);
        }
    });
    assert_eq!(pool.available(), 0);
    // SAFETY: the run is over.
    assert!(unsafe { reclaim(pool) } < 4 * granules);
    assert_eq!(pool.stats().largest_free, 1 << (granules * 32).ilog2());
}

#[derive(Clone, Debug)]
enum Step {
    Own(usize),
    Lent(usize),
    Drop(usize),
    Lend(usize),
    Keep(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..400).prop_map(Step::Own),
        2 => (0_usize..400).prop_map(Step::Lent),
        3 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Lend),
        1 => any::<usize>().prop_map(Step::Keep),
    ];
    prop::collection::vec(step, 0..200)
}

/// A box of either kind, and what it was filled with.
enum Held {
    Own(PoolBox<[u8]>, u8),
    Lent(Lent<[u8]>, u8),
}

/// A random life, then a death in the middle of it: reclaiming, in which lent boxes are dropped.
fn life_and_death(pool: &'static Pool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let empty = pool.stats();
    let mut held: Vec<Held> = Vec::new();
    // SAFETY: this function is the owner.
    let own = unsafe { Own::new(pool) };
    for (number, step) in steps.into_iter().enumerate() {
        let fill = number as u8;
        match step {
            Step::Own(bytes) => {
                if let Ok(mut new) = own.bytes(bytes) {
                    new.get_mut(own).fill(fill);
                    held.push(Held::Own(new, fill));
                }
            }
            Step::Lent(bytes) => {
                if let Ok(mut new) = pool.bytes(bytes) {
                    new.fill(fill);
                    held.push(Held::Lent(new, fill));
                }
            }
            _ if held.is_empty() => {}
            Step::Drop(place) => {
                held.swap_remove(place % held.len());
            }
            Step::Lend(place) => {
                let place = place % held.len();
                let lent = match held.swap_remove(place) {
                    Held::Own(own, fill) => Held::Lent(own.lend(), fill),
                    lent => lent,
                };
                held.push(lent);
            }
            Step::Keep(place) => {
                let place = place % held.len();
                let kept = match held.swap_remove(place) {
                    Held::Lent(lent, fill) => Held::Own(lent.keep(own).unwrap(), fill),
                    own => own,
                };
                held.push(kept);
            }
        }
        let stats = pool.stats();
        let lent = held.iter().filter(|held| matches!(held, Held::Lent(..))).count();
        prop_assert_eq!((stats.blocks, stats.lent_blocks), (held.len(), lent));
    }
    let mut lent = Vec::new();
    for held in held {
        match held {
            Held::Own(own_box, fill) => {
                prop_assert!(own_box.get(own).iter().all(|byte| *byte == fill));
                // Left on a stack that is dropped.
                let _ = ManuallyDrop::new(own_box);
            }
            Held::Lent(lent_box, fill) => lent.push((lent_box, fill)),
        }
    }
    let mut cursor = Cursor::default();
    // SAFETY: the owner has left its boxes, and does nothing any more.
    while let Some(next) = unsafe { pool.reclaim(cursor) } {
        cursor = next;
        if lent.len() > 3 {
            let (gone, fill) = lent.swap_remove(cursor_hash(next) % lent.len());
            prop_assert!(gone.iter().all(|byte| *byte == fill));
        }
    }
    let stats = pool.stats();
    prop_assert_eq!((stats.blocks, stats.lent_blocks), (lent.len(), lent.len()));
    prop_assert_eq!(stats.allocated, stats.lent);
    for (lent, fill) in lent {
        prop_assert!(lent.iter().all(|byte| *byte == fill));
    }
    let end = pool.stats();
    prop_assert_eq!((end.allocated, end.blocks, end.lent), (0, 0, 0));
    prop_assert_eq!(end.largest_free, empty.largest_free);
    Ok(())
}

/// Anything that varies with a cursor.
fn cursor_hash(cursor: Cursor) -> usize {
    format!("{cursor:?}").bytes().map(usize::from).sum()
}

proptest! {
    #[test]
    fn a_pool_returns_whole(
        len in 200_usize..9_000,
        granule in (4_u32..8).prop_map(|shift| 1_usize << shift),
        steps in steps(),
    ) {
        if let Ok(pool) = pool(len, 0, granule, Content::Objects) {
            life_and_death(pool, steps)?;
        }
    }

    #[test]
    fn a_pool_with_a_scheme_returns_whole(len in 200_usize..9_000, steps in steps()) {
        life_and_death(arena(len / 16 * 16), steps)?;
    }
}
