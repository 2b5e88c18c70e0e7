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

mod activate;
mod attempt;
mod attributes;
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
mod create;
mod crew;
mod deadline;
mod dispatch;
mod estate;
mod exclude;
mod expiry;
mod filter;
mod guard;
pub mod heap;
mod idle;
mod inbox;
mod inherit;
pub mod interrupt;
pub mod job;
mod jobs;
mod kernel;
mod kill;
pub mod measure;
pub mod memory;
mod pending;
mod policy;
mod quarantine;
mod queue;
mod random;
mod rebinding;
mod registry;
mod replace;
pub mod report;
mod restore;
mod retire;
mod running;
mod runtime;
mod scope;
pub mod section;
mod signal;
mod slots;
pub mod supervise;
mod supervision;
mod supervisor;
mod switch;
mod table;
mod timer;
mod vector;
mod wait;
pub mod watchdog;
mod workers;

pub use cloner::{Cloner, ClonerOptions};
pub use completions::Completions;
pub use cpu::home::{Quarantine, Reuse};
pub use cpu::options::{ContextOptions, Origin, OwnScheme};
pub use cpu::set::ContextSet;
pub use kernel::{Platform, init};
pub use policy::{ContextInfo, Protected};
pub use rebinding::{Rebinding, Service};
pub use replace::{Pending, ReplaceError, Replacement};
pub use running::{Running, describe_running};
pub use runtime::Runtime;
pub use signal::{Signal, SignalMode};
pub use timer::Timekeeping;
pub use wait::{Waited, Waiter};
