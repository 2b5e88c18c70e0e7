//! Bytes in custody are their lender's until they are taken, wherever the code stops that has a view.

use crate::common;

use common::pool;
use reflex_memory::{Content, Custody, Lend, Pool};
use std::mem::forget;

fn bytes() -> &'static Pool {
    pool(1 << 12, 0, 16, Content::Bytes).unwrap()
}

#[test]
fn what_is_not_taken_comes_back_with_its_lender() {
    let pool = bytes();
    let free = pool.available();
    let bytes = |length| pool.bytes(length).expect("there is room");
    let mut held = [Some(Custody::new(bytes(100))), None, Some(Custody::new(bytes(200)))];
    let [first, none, last] = &mut held.lend();
    assert!(none.is_none());
    let (first, last) = (first.as_mut().unwrap(), last.as_mut().unwrap());
    assert_eq!((first.bytes().len(), last.bytes().len()), (100, 200));
    // They are exchanged, as code may have done that stops in the middle of it.
    core::mem::swap(first, last);
    let taken = first.take().expect("nobody has taken it");
    assert_eq!((taken.len(), first.bytes().len(), last.bytes().len()), (200, 0, 100));
    assert!(first.take().is_none());
    // The code that had the views never goes on.
    drop(held);
    assert_eq!(pool.stats().lent_blocks, 1, "what was taken is somebody else's");
    drop(taken);
    assert_eq!(pool.available(), free);
}

#[test]
fn what_is_taken_and_forgotten_is_lost_alone() {
    let pool = bytes();
    let bytes = |length| pool.bytes(length).expect("there is room");
    let mut held = [Some(Custody::new(bytes(64))), Some(Custody::new(bytes(64)))];
    let [first, _] = &mut held.lend();
    forget(first.as_mut().unwrap().take());
    drop(held);
    assert_eq!(pool.stats().lent_blocks, 1);
}
