//! What a RoCEv2 port has that is neither protocol nor event: memory that peers may reach by keys
//! ([`Regions`]), memory that came with posted work and returns with its completion ([`InFlight`]), both
//! as the engine sees them ([`PairMemory`]), and Ethernet frames around its packets ([`Sender`],
//! [`Received`]).
//!
//! ```text
//!   frame --> Received --> engine --> PairMemory --> InFlight      posted receives
//!                            |              `------> Regions   what peers write
//!   frame <-- Sender <-------'
//! ```
//!
//! **Cost.** Regions are found by key in constant time, and nothing is allocated once the tables are
//! made. Payload is copied once: from the received frame to its place, from its place into the frame
//! to be sent.
//!
//! **Trust.** Keys are random but for the place in the table. What a peer may write is never
//! referenced, only copied; posted memory belongs to this crate alone from its posting to its
//! completion, so that a late packet can not write to memory that its owner has again.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod frame;
mod in_flight;
mod memory;
mod regions;

pub use frame::{Received, Sender, Sending, send};
pub use in_flight::{InFlight, MAX_SGE, SgList, Sge};
pub use memory::{Lookup, PairMemory};
pub use regions::{Named, Regions, RegionsFull, Registration};
