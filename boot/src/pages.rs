//! Pages, for tests of what comes of their being unmapped, with the feature `bench`.

use crate::address_space;
use core::ops::Range;

/// Unmaps pages that are mapped, on all cores; false when there is no memory for the tables that it takes.
///
/// # Safety
/// Nobody uses the memory there any more, but to see that it is unmapped.
pub unsafe fn unmap(pages: Range<u64>) -> bool {
    address_space::unmap(pages).is_some()
}
