//! The kernel at work on each core: interrupts, jobs, context stacks, dispatch, timers.
//!
//! The crate drives the pure [`reflex_event::Core`] from real interrupts and implements
//! [`reflex_event::Kernel`] for the library OS. Its folders stand on one another, the lowest first, and
//! no import points upwards:
//!
//! | folder | what it has |
//! | --- | --- |
//! | `cpu` | the block that each core owns, and the types of its parts: data, and what needs nothing else |
//! | `dispatch` | sections, jobs, timers, and going from one context's stack to another's |
//! | `context` | contexts: how they are made, what they may do, what is not cut off on their stacks |
//! | `event` | registrations, their attributes, activations, control, waiting |
//! | `failure` | contexts that are given up: cleaned up, told of, begun again |
//! | `spawn` | contexts that are made for an event |
//! | `replace` | a context's implementation, replaced while the others serve |
//! | `entry` | where all that is entered: interrupts, the timer, the library OS, the start |
//!
//! What a lower folder has an upper one do goes through `cpu::upcalls`, or waits in a bit or a job until
//! the section ends.
//!
//! With the feature `hosted` the processor is [simulated](hosted), in a process of the host.
#![cfg_attr(not(any(test, feature = "hosted")), no_std)]

extern crate alloc;

mod context;
mod cpu;
mod dispatch;
mod entry;
mod event;
mod failure;
mod replace;
mod spawn;

pub use context::info::{ContextInfo, Usage};
pub use context::protected::Protected;
pub use context::running::{Running, describe_running};
pub use cpu::home::{Quarantine, Reuse};
pub use cpu::options::{ContextOptions, Origin, OwnScheme};
pub use cpu::runtime::Runtime;
pub use cpu::set::ContextSet;
pub use dispatch::timer::Timekeeping;
pub use dispatch::{job, measure, memory, section, watchdog};
#[cfg(feature = "bench")]
pub use entry::bench;
pub use entry::cores::{PreparedCore, await_core, prepare_core, start_core};
#[cfg(feature = "hosted")]
pub use entry::hosted;
pub use entry::interrupt;
pub use entry::mutex::{LockError, Mutex};
pub use entry::start::{Platform, init};
pub use event::completions::Completions;
pub use event::signal::{Signal, SignalMode};
pub use event::wait::{Waited, Waiter};
pub use failure::{fault, heap, report, supervise};
pub use replace::error::ReplaceError;
pub use replace::pending::Pending;
pub use replace::plan::Replacement;
pub use replace::rebinding::{Rebinding, Service};
pub use spawn::cloner::{Cloner, ClonerOptions};
