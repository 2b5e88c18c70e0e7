//! A pool on the host.

use reflex_memory::{Content, Error, Exclusion, Granule, Pool};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// A spin lock; it does not nest, so that a pool which entered it twice would hang.
pub(crate) struct Lock(AtomicBool);

// SAFETY: only one flow of control can have changed the flag from false to true, and Acquire
// pairs with Release.
unsafe impl Exclusion for Lock {
    fn enter(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn leave(&self) {
        assert!(self.0.swap(false, Ordering::Release), "left without having entered");
    }
}

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// A pool over `len` bytes that begin `skew` bytes past a page boundary and hold 0xA5.
pub(crate) fn pool(
    len: usize,
    skew: usize,
    granule: usize,
    content: Content,
) -> Result<&'static Pool, Error> {
    let pages = vec![MaybeUninit::new(Page([0xA5; 4096])); (skew + len).div_ceil(4096) + 1];
    let start = NonNull::from(Box::leak(pages.into_boxed_slice())).cast::<u8>();
    // SAFETY: within the pages.
    let region = NonNull::slice_from_raw_parts(unsafe { start.add(skew) }, len);
    let lock = Box::leak(Box::new(Lock(AtomicBool::new(false))));
    // SAFETY: the pages were leaked: they live for ever, and nothing else refers to them.
    let pool = unsafe { Pool::new(region, Granule::new(granule).unwrap(), content, lock)? };
    Ok(Box::leak(Box::new(pool)))
}
