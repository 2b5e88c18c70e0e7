//! The virtio block device (5.2): requests by interrupt, with the memory by value, without copies and without
//! heap calls.
//!
//! [`open()`] negotiates and gives the [`Disk`], a [`Block`](reflex_hil::Block). A request is a chain of
//! descriptors: its header, the pieces of its memory, and the byte in which the device says how it went
//! (5.2.6). Each request that may be in flight has its descriptors, its header and its status byte for good, so
//! that there are never more than the queue holds, and nothing is searched for.
//!
//! Negotiated are, when offered: `SIZE_MAX`, `SEG_MAX`, `RO`, `BLK_SIZE`, `FLUSH`, `TOPOLOGY`, `DISCARD`. Not
//! negotiated: `MQ`, as there is one core to take completions; `CONFIG_WCE`, `WRITE_ZEROES`; event indices and
//! indirect descriptors (see [`Queue`](reflex_virtio_bus::Queue)).
//!
//! What the device says is checked: its configuration, the ids it returns, the lengths and statuses that it
//! writes. When it breaks the queue it is reset, and then all memory comes back with an error.
//!
//! Section numbers are those of "Virtual I/O Device (VIRTIO) Version 1.2".
#![no_std]

extern crate alloc;

mod configuration;
mod disk;
mod error;
mod open;
mod slots;

pub use disk::Disk;
pub use error::Error;
pub use open::open;
