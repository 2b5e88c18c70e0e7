//! What a driver offers and what it needs, in traits: drivers do not know the kernel, the
//! kernel does not know drivers, and `boot` joins them.
#![no_std]
#![forbid(unsafe_code)]

mod frame;
mod interrupt;
mod link;
mod nic;
mod watchdog;

pub use frame::Frame;
pub use interrupt::{Acknowledge, Interrupt, MsiMessage};
pub use link::{Hop, Link, NextHop, Protocol};
pub use nic::{NicCounters, NicError, Receive, Transmit};
pub use watchdog::Watchdog;
