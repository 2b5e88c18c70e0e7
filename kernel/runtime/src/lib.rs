//! The kernel at work on one core: interrupts, jobs, context stacks, dispatch, timers.
//!
//! This is the only crate with statics. It drives the pure [`reflex_event::Core`] from real
//! interrupts and implements [`reflex_event::Kernel`] for the library OS.
//!
//! The order of things, which the modules follow:
//!
//! 1. [`interrupt`]: acknowledge, post the job, nothing else, interrupts masked;
//! 2. [`job`]: bounded work with dispatch deferred, turning occurrences into activations;
//! 3. [`section`](mod@section): the end of the outermost section is where dispatch happens;
//! 4. `dispatch`: switch to the best context, on its own stack, and call the handler.
#![no_std]

extern crate alloc;

#[cfg(feature = "bench")]
pub mod bench;
mod bound;
mod dispatch;
mod idle;
mod inbox;
pub mod interrupt;
pub mod job;
mod local;
pub mod measure;
pub mod memory;
mod random;
mod registry;
mod runtime;
pub mod section;
mod signal;
mod timer;

pub use registry::{ContextOptions, Running, describe_running};
pub use runtime::{Platform, Runtime, Timekeeping, init};
pub use signal::{Signal, SignalMode};
