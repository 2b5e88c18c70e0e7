//! Atomics. The models (`tests/models.rs`) put those of loom in their place, which have the same names.

pub(crate) use core::sync::atomic::AtomicU64;
