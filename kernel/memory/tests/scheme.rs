//! Pools in which a scheme of the owner's finds the blocks.

use crate::common;
use common::{FirstFit, Lock, arena};
use reflex_memory::{Error, Pool};
use std::alloc::Layout;
use std::ptr::NonNull;

#[test]
fn values_lie_where_the_scheme_says() {
    let pool = arena(4_096);
    let boxed = pool.alloc([7_u64; 5]).unwrap();
    assert!(pool.contains((&raw const *boxed).cast()));
    assert_eq!(*boxed, [7; 5]);
    // 40 bytes are three units, and the header is a fourth.
    let stats = pool.stats();
    assert_eq!((stats.capacity, stats.allocated, stats.lent), (4_096, 64, 64));
    assert_eq!(stats.largest_free, 4_096 - 64 - 16);
    drop(boxed);
    assert_eq!((pool.stats().allocated, pool.stats().peak), (0, 64));
    assert!(pool.bytes(100).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn large_alignments_have_their_header_before_them() {
    #[derive(Debug)]
    #[repr(align(256))]
    struct Wide(u8);
    let pool = arena(8_192);
    let first = pool.alloc(Wide(1)).unwrap();
    let second = pool.alloc(Wide(2)).unwrap();
    for wide in [&first, &second] {
        assert_eq!((&raw const **wide).addr() % 256, 0);
    }
    assert_eq!((first.0, second.0), (1, 2));
    drop((first, second));
    assert_eq!(pool.stats().largest_free, 8_192 - 16);
}

#[test]
fn its_refusals_are_the_pools() {
    let pool = arena(256);
    assert_eq!(pool.alloc([0_u8; 256]).unwrap_err().error, Error::TooLarge);
    let held = pool.alloc([0_u8; 100]).unwrap();
    assert_eq!(pool.alloc([0_u8; 128]).unwrap_err().error, Error::Exhausted);
    pool.reserve(64).unwrap();
    assert_eq!(pool.alloc([0_u8; 80]).unwrap_err().error, Error::Exhausted);
    let reserved = pool.alloc_reserved([0_u8; 80]).unwrap();
    assert_eq!(pool.stats().failures, 3);
    drop((held, reserved));
    assert_eq!(pool.available(), 192);
}

#[test]
fn a_region_that_does_not_fit_is_refused() {
    for (skew, len, error) in [(8, 64, Error::Alignment), (0, 15, Error::RegionTooSmall)] {
        let scheme = Box::leak(Box::new(FirstFit::new(skew, len)));
        let lock = Box::leak(Box::new(Lock::default()));
        assert_eq!(Pool::with_scheme(scheme, lock).unwrap_err(), error);
    }
}

/// The scheme for the tests is right itself.
#[test]
fn first_fit_fits() {
    use reflex_memory::Scheme;
    let mut scheme = FirstFit::new(0, 128);
    let layout = Layout::from_size_align(48, 16).unwrap();
    let blocks: Vec<NonNull<u8>> = std::iter::from_fn(|| scheme.allocate(layout)).collect();
    assert_eq!((blocks.len(), scheme.largest_free()), (2, 32));
    for block in blocks {
        // SAFETY: allocated for that layout, and unused.
        unsafe { scheme.deallocate(block, layout) };
    }
    assert_eq!(scheme.largest_free(), 128);
}
