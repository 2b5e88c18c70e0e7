//! Goes wrong on another core than the first.

use core::hint::black_box;
use reflex::{Error, errand, log, pages};

/// Bytes of a page, and of the one that is unmapped.
const PAGE: u64 = 4096;

#[repr(align(4096))]
struct Page {
    bytes: [u8; PAGE as usize],
}

static SEEN: Page = Page { bytes: [7; PAGE as usize] };

/// Panics on the second core.
pub(crate) fn panic() -> Result<(), Error> {
    log::info!("begun: {}", errand::on(1, || panic!("told to panic elsewhere")));
    Err(Error::Application("nothing stopped it"))
}

/// Has the second core read a page, unmaps it here, and has the second core read it again.
pub(crate) fn read_unmapped() -> Result<(), Error> {
    let start = &raw const SEEN as u64;
    log::info!("read: {}", errand::on(1, read));
    // SAFETY: nobody reads the page but this module, to see that it is unmapped.
    let unmapped = unsafe { pages::unmap(start..start + PAGE) };
    log::info!("unmapped: {unmapped}");
    errand::on(1, read);
    Err(Error::Application("the other core still reads what was unmapped"))
}

#[inline(never)]
fn read() {
    let first = black_box(&raw const SEEN.bytes).cast::<u8>();
    // SAFETY: a byte of a static; where its page is unmapped the read faults.
    black_box(unsafe { first.read_volatile() });
}
