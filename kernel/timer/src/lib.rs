//! A hierarchical timer wheel: a million timers at the price of one, and `now` an argument.
//!
//! [`Wheel`] keeps timers of a [granularity](GRANULARITY_NS) of 1.024 us in slots that grow wider
//! by 64 a level, finds the next one by bitmaps, and never scans. Times are nanoseconds since any
//! fixed moment. The wheel fires nothing by itself: its owner programs a one-shot interrupt for
//! [`Wheel::next_expiry`] and then pulls what is due out of [`Wheel::expire`], a bounded piece a
//! call. (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP '87, scheme 7.)
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod error;
mod expire;
mod period;
mod slot;
mod slots;
mod store;
mod wheel;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use expire::{Fired, Step};
pub use period::{Once, Period};
pub use store::{Chunk, TimerKey};
pub use wheel::{GRANULARITY_NS, Wheel};
