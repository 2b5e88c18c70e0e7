//! Application's code, as it is called: a panic ends there.
//!
//! In an image a panic does not unwind: its handler goes on from the very place (see `failure::fault`). In a
//! process of the host it unwinds, to the call, and goes on from there in the same way.

#[cfg(feature = "hosted")]
use super::this;
#[cfg(feature = "hosted")]
use alloc::boxed::Box;
#[cfg(feature = "hosted")]
use core::any::Any;

/// What a panic was begun with.
#[cfg(feature = "hosted")]
pub(crate) type Payload = Box<dyn Any + Send>;

/// Ends the image after a panic that nothing less is to blame for.
#[cfg(feature = "hosted")]
pub(crate) type Crash = fn(Payload) -> !;

/// Runs `work`, which is called by the kernel.
#[cfg(not(feature = "hosted"))]
#[inline(always)]
pub(crate) fn contain<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Runs `work`, which is called by the kernel. When it panics this does not return.
#[cfg(feature = "hosted")]
pub(crate) fn contain<R>(work: impl FnOnce() -> R) -> R {
    // What it leaves half changed is what it leaves so when it is given up in the middle.
    match std::panic::catch_unwind(core::panic::AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => (this().upcalls.get().panicked)(payload),
    }
}
