//! The event system's pure half: what a registration is, which activation is next, which context
//! runs.
//!
//! Nothing here touches the machine. [`Core`] is plain data driven by method calls, so that
//! every interleaving can be tried on the host; `kernel/runtime` drives the same code from
//! interrupts. [`Kernel`] is the face the library OS sees of whichever of the two is there.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod activate;
mod ceiling;
mod children;
mod context;
mod context_state;
mod control;
mod core;
mod gate;
mod id;
mod kernel;
mod last_call;
mod latency;
mod owner;
mod policy;
mod preempted;
mod priority;
mod queue;
mod raise;
mod ready;
mod registration;
mod suspend;
mod table;
mod time;
mod trouble;

pub use self::core::{Core, Finished, Next, Outcome};
pub use activate::{Resume, Start};
pub use ceiling::Ceiling;
pub use children::{Begin, Cause, Children, Claim, Effects, Phase};
pub use context_state::ContextState;
pub use control::{Attribute, Unregistered};
pub use id::{Context, ContextId, ContextIndex, EventId, MOST_CORES, TimerId, first_generation};
pub use kernel::{Borrowed, Chosen, EventSystem, Kernel};
pub use latency::{BUCKETS, Latency};
pub use owner::{Owner, Sweep};
pub use policy::{Executor, Executors, MOST_NAMES, NameSet, Names, Policy};
pub use priority::Priority;
pub use raise::Raised;
pub use registration::{
    Accumulation, Activation, DisabledPolicy, Error, Info, Limits, OverflowPolicy, Registration,
};
pub use suspend::Wait;
pub use table::{Chunk, Record};
pub use time::Instant;
pub use trouble::{Trouble, Troubles};
