//! Many deadlines of one registration: a time-out a session, a request, an entry of a cache. Each is under a key
//! and comes with a payload, which the handler is told when it is due.
//!
//! ```text
//!   set(key, deadline, payload) ──▶ a wheel of its own ──▶ the earliest: one timer of the kernel's ──▶ handler
//!   move_to, cancel                 a table by key                                                  (key, payload)
//! ```
//!
//! Setting, moving, cancelling and expiring take constant time, whatever else is set, and no memory: room for all
//! is made when the timers are. A deadline takes at most 64 bytes with a key and a payload of 8 bytes each, and all
//! of them one registration and one timer of the kernel's.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod error;
mod table;
mod timers;

pub use error::Refused;
pub use timers::{Counters, KeyedTimers};
