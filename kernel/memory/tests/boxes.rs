//! Boxes: what drops the value, and when the block comes back.

use crate::common;
use common::pool;
use reflex_memory::{Content, Lent, LentDyn, Pool};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts its drops.
#[derive(Debug)]
struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn tally() -> (Tally, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    (Tally(count.clone()), count)
}

fn objects() -> &'static Pool {
    pool(1_024, 0, 16, Content::Objects).unwrap()
}

trait Handler: Send {
    fn handle(&mut self, add: usize) -> usize;
}

impl<F: FnMut(usize) -> usize + Send> Handler for F {
    fn handle(&mut self, add: usize) -> usize {
        self(add)
    }
}

#[test]
fn dropping_a_box_drops_its_value_once_and_frees() {
    let pool = objects();
    let (value, count) = tally();
    let boxed = pool.alloc(value).unwrap();
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (0, 1));
    drop(boxed);
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (1, 0));
}

#[test]
fn a_box_is_two_words() {
    assert_eq!(size_of::<Lent<[u64; 50]>>(), 16);
    assert_eq!(size_of::<Option<Lent<u8>>>(), 16);
    assert_eq!(size_of::<Option<Lent<[u8]>>>(), 24);
}

#[test]
fn the_inner_value_moves_out_undropped() {
    let pool = objects();
    let (value, count) = tally();
    let value = pool.alloc(value).unwrap().into_inner();
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (0, 0));
    drop(value);
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn a_leaked_value_stays() {
    let pool = objects();
    let (value, count) = tally();
    let leaked: &'static mut Tally = pool.alloc(value).unwrap().leak();
    assert_eq!(leaked.0.load(Ordering::Relaxed), 0);
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (0, 1));
}

#[test]
fn raw_parts_are_put_together_again_also_as_a_trait_object() {
    let pool = objects();
    let (value, count) = tally();
    let (raw, owner) = pool.alloc(value).unwrap().into_raw();
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (0, 1));
    let erased: std::ptr::NonNull<dyn std::fmt::Debug> = raw;
    // SAFETY: the parts are those of the box above, which gave up ownership.
    let again = unsafe { Lent::from_raw(erased, owner) };
    assert_eq!(format!("{again:?}"), "Tally(0)");
    drop(again);
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (1, 0));
}

#[test]
fn a_closure_is_called_and_dropped_through_its_trait() {
    let pool = objects();
    let (value, count) = tally();
    let mut sum = 0_usize;
    let handler = move |add| {
        let _held = &value;
        sum += add;
        sum
    };
    let mut boxed: LentDyn<dyn Handler> =
        pool.alloc(handler).unwrap().unsize(|handler| handler as &mut dyn Handler);
    assert_eq!((boxed.handle(3), boxed.handle(4)), (3, 7));
    assert!(pool.contains(boxed.address()) && std::ptr::eq(boxed.pool(), pool));
    let moved = std::thread::spawn(move || boxed.handle(1));
    assert_eq!(moved.join().unwrap(), 8);
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (1, 0));
}

/// What may be half changed is not dropped; its memory comes back all the same.
#[test]
fn a_forgotten_value_gives_its_block_back_undropped() {
    let pool = objects();
    let (value, count) = tally();
    let boxed: LentDyn<Tally> = pool.alloc(value).unwrap().unsize(|value| value);
    boxed.forget();
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (0, 0));
}

/// What somebody may point to is neither dropped nor given to another.
#[test]
fn a_value_that_is_left_keeps_its_block() {
    let pool = objects();
    let (value, count) = tally();
    let boxed: LentDyn<Tally> = pool.alloc(value).unwrap().unsize(|value| value);
    boxed.leave();
    assert_eq!((count.load(Ordering::Relaxed), pool.stats().blocks), (0, 1));
}

#[test]
fn a_view_of_a_part_drops_the_whole() {
    let pool = objects();
    let ((first, firsts), (second, seconds)) = (tally(), tally());
    let whole = pool.alloc((first, second)).unwrap();
    let part: LentDyn<Tally> = whole.unsize(|whole| &mut whole.1);
    assert_eq!(part.0.load(Ordering::Relaxed), 0);
    drop(part);
    assert_eq!((firsts.load(Ordering::Relaxed), seconds.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(pool.stats().blocks, 0);
}

#[test]
fn a_view_of_something_else_drops_the_value_only() {
    let pool = objects();
    let ((value, count), (other, others)) = (tally(), tally());
    let other = Box::leak(Box::new(other));
    let elsewhere: LentDyn<Tally> = pool.alloc(value).unwrap().unsize(move |_| other);
    drop(elsewhere);
    assert_eq!((count.load(Ordering::Relaxed), others.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(pool.stats().blocks, 0);
}

#[test]
fn values_without_size_are_dropped_too() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Debug)]
    struct Empty;
    impl Drop for Empty {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let pool = objects();
    let boxes = [pool.alloc(Empty).unwrap(), pool.alloc(Empty).unwrap()];
    assert_ne!(&raw const *boxes[0], &raw const *boxes[1]);
    drop(boxes);
    assert_eq!((DROPS.load(Ordering::Relaxed), pool.stats().blocks), (2, 0));
}

/// A slice's values are made one by one, lie side by side, and are dropped with it.
#[test]
fn slices_are_made_used_and_given_back() {
    let pool = pool(4_096, 0, 32, Content::Objects).unwrap();
    let seen = std::sync::Arc::new(());
    let mut made = 0;
    let slice = pool.slice(10, || {
        made += 1;
        (made, seen.clone())
    });
    let mut slice = slice.unwrap();
    slice[3].0 = 40;
    assert_eq!(slice.iter().map(|(number, _)| *number).sum::<i32>(), 55 - 4 + 40);
    assert_eq!(std::sync::Arc::strong_count(&seen), 11);
    drop(slice);
    assert_eq!((std::sync::Arc::strong_count(&seen), pool.stats().allocated), (1, 0));
    assert_eq!(pool.slice(0, || 1_u64).unwrap().len(), 0);
    for len in [1_000, usize::MAX / 8, usize::MAX] {
        assert!(pool.slice(len, || 1_u64).is_err(), "{len}");
    }
    assert_eq!(pool.stats().blocks, 0);
}
