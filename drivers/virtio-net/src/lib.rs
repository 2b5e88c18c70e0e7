//! The virtio network device (5.1): frames in and out, by interrupt, without copies and without
//! heap calls.
//!
//! [`open()`] negotiates and gives the two halves, which share nothing: the [`Receiver`] belongs to
//! the receive job, the [`Transmitter`] to the stack's context. A received frame stays in the
//! pool buffer the device wrote it to; a frame to be sent is written where the device reads it.
//!
//! Negotiated are `VERSION_1` and `MAC`, and `MTU` and `STATUS` when offered. Not negotiated:
//! event indices and indirect descriptors (see [`Queue`](reflex_virtio_bus::Queue)), mergeable
//! receive buffers (every frame fits in one buffer), and offloads. Each frame has the header of
//! 5.1.6 in front, [`HEADER`] bytes that are all zero as long as nothing is offloaded; an offload
//! would be negotiated in `open`, written to that header in [`Transmitter`], and read from it in
//! [`Receiver`].
//!
//! Section numbers are those of "Virtual I/O Device (VIRTIO) Version 1.1".
#![no_std]

extern crate alloc;

mod error;
mod open;
mod receive;
mod transmit;

pub use error::Error;
pub use open::{Info, Opened, Rings, open, receive_buffer};
pub use receive::Receiver;
pub use transmit::Transmitter;

/// Bytes of the header in front of each frame (5.1.6), with `num_buffers`.
pub const HEADER: usize = 12;
/// Bytes of a receive buffer for the frames of Ethernet without extensions, header and frame. A pool
/// of this granule wastes nothing.
pub const RECEIVE_BUFFER: usize = 2048;
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
