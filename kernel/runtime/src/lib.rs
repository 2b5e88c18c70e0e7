//! The kernel at work on one core: interrupts, jobs, context stacks, dispatch, timers.
//!
//! What belongs to the core is one static, of `cpu`. The crate drives the pure [`reflex_event::Core`] from real
//! interrupts and implements [`reflex_event::Kernel`] for the library OS.
//!
//! The order of things, which the modules follow:
//!
//! 1. [`interrupt`]: acknowledge, post the job, nothing else, interrupts masked;
//! 2. [`job`]: bounded work with dispatch deferred, turning occurrences into activations;
//! 3. [`section`](mod@section): the end of the outermost section is where dispatch happens;
//! 4. `dispatch`: switch to the best context, on its own stack, and call the handler.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod attempt;
#[cfg(feature = "bench")]
pub mod bench;
mod birth;
mod budget;
mod caller;
mod calls;
mod cloner;
mod completions;
pub mod contain;
mod control;
mod cpu;
mod crew;
mod deadline;
mod dispatch;
mod estate;
mod exclude;
mod extras;
mod guard;
mod idle;
mod inbox;
mod inherit;
pub mod interrupt;
pub mod job;
pub mod measure;
pub mod memory;
mod pending;
mod policy;
mod quarantine;
mod random;
mod rebinding;
mod registry;
mod replace;
pub mod report;
mod retire;
mod runtime;
mod scope;
pub mod section;
mod signal;
pub mod supervise;
mod supervisor;
mod table;
mod timer;
mod wait;
pub mod watchdog;

pub use cloner::{Cloner, ClonerOptions};
pub use completions::Completions;
pub use cpu::home::{Quarantine, Reuse};
pub use cpu::options::{ContextOptions, Origin, OwnScheme};
pub use cpu::set::ContextSet;
pub use policy::{ContextInfo, Protected};
pub use rebinding::{Rebinding, Service};
pub use registry::{Running, describe_running};
pub use replace::{Pending, ReplaceError, Replacement};
pub use runtime::{Platform, Runtime, Timekeeping, init};
pub use signal::{Signal, SignalMode};
pub use wait::{Waited, Waiter};
