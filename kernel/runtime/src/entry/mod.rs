//! Where the kernel is entered: by interrupts and the timer, by the library OS, and at the start.

#[cfg(feature = "bench")]
pub mod bench;
pub(crate) mod cores;
pub(crate) mod crossing;
pub(crate) mod expiry;
#[cfg(feature = "hosted")]
pub mod hosted;
pub mod interrupt;
pub(crate) mod kernel;
pub(crate) mod mutex;
pub(crate) mod start;
