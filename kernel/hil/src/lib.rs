//! The hardware interface layer: what a driver offers and what it needs, in traits. Drivers do not know
//! the kernel, the kernel does not know drivers, and `boot` joins them. A driver of a device that is
//! software over an interface, as a RoCE port is, needs the interface's link and its neighbours as one of
//! hardware needs memory and interrupts: so these traits are here, and the IP stack implements them.
#![no_std]
#![forbid(unsafe_code)]

mod attached;
mod block;
mod frame;
mod interrupt;
mod nic;
mod watchdog;

pub use attached::{AttachedProtocol, Hop, Link, NextHop};
pub use block::{
    Block, BlockCounters, BlockDone, BlockError, BlockInfo, BlockOperation, BlockRequest, PIECES,
    Piece, Pieces, SECTOR, Serial, length,
};
pub use frame::Frame;
pub use interrupt::{Acknowledge, Interrupt, MsiMessage};
pub use nic::{NicCounters, NicError, Receive, Transmit};
pub use watchdog::Watchdog;
