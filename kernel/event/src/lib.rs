//! The event system's pure half: what a registration is, which activation is next, who runs.
//!
//! Nothing here touches the machine. [`Core`] is plain data driven by method calls, so that
//! every interleaving can be tried on the host; `kernel/runtime` drives the same code from
//! interrupts. [`Kernel`] is the face the library OS sees of whichever of the two is there.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ceiling;
mod context;
mod core;
mod id;
mod kernel;
mod preempted;
mod priority;
mod queue;
mod ready;
mod registration;
mod table;
mod time;

pub use self::core::{AtOnce, Core, Finished, Next, Outcome};
pub use ceiling::Ceiling;
pub use id::{Context, ContextId, EventId, TimerId};
pub use kernel::Kernel;
pub use priority::Priority;
pub use registration::{Accumulation, Activation, Error, Registration};
pub use time::Instant;
