//! Whether a core is the caller's.

/// Asserts that the simulated processor is the calling thread's; in an image, code on a core has that.
#[inline(always)]
pub(crate) fn assert() {
    #[cfg(feature = "hosted")]
    if !reflex_arch::hosted::processor::is_own() {
        panic!("no simulated machine runs on this thread");
    }
}
