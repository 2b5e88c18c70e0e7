//! Disks for appliances: reads, writes, flushes and discards as events, with the memory by value.
//!
//! ```text
//!  application's context                             the context of disks
//!
//!  Disk::submit ──> a place of the disk's ──room?──> the device ──> interrupt ──> Device: what is done
//!                     └─ waits, by priority ─────────────^                            │
//!  handler <── Completion <── the disk's done requests <──────────────────────────────┘
//! ```
//!
//! A [`Device`] is a block device that runs. It gives [`Disk`]s: a range of its sectors, all of it or a partition,
//! which belong to one context and have one handler for what is done. Ranges that overlap are not given twice,
//! unless both are read-only.
//!
//! **Memory** goes with the request: submitting takes it by value, the completion returns it. Nobody else has it
//! meanwhile, and nothing depends on a destructor: what a context that was given up has under way stays with the
//! device until that is done, and goes back to its pool then.
//!
//! **Bounded.** A disk has as many places as it was opened with, each of which a request has from its submission
//! until its handler has been told: so completions cannot overflow. Without a place the request comes back, and the
//! next completion says that there is one.
//!
//! **Order.** Requests under way are done in any order, more urgent ones first where the device has no room for all.
//! What is to be done after another is submitted when that is complete. A write survives a loss of power when a
//! flush that was submitted after its completion is complete.
//!
//! **Every request ends**: by the device, by its deadline, or by [`Disk::cancel`]. One that the device has when its
//! deadline comes, or when it is cancelled, is told of at once, without its memory, which goes back to its pool when
//! the device is done with it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod completion;
mod device;
mod disk;
mod error;
mod inner;
mod lists;
mod name;
mod open;
mod partition;
mod request;
mod service;
mod slot;
mod state;
mod sweep;
mod visit;

pub use completion::Completion;
pub use device::Device;
pub use disk::{Disk, Ticket};
pub use error::{Error, Failure, Refused};
pub use open::Options;
pub use partition::{Partition, TableError, partitions};
pub use reflex_hil::{BlockError, BlockInfo, BlockOperation as Operation, SECTOR, Serial};
pub use request::Request;
pub use state::Counters;
