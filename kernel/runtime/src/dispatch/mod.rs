//! The processor: whether dispatch is deferred, what waits meanwhile, and which context's stack it is on.
//! Jobs, timers, the idle processor, and the machine's memory.

pub(crate) mod event_core;
pub(crate) mod idle;
pub mod job;
pub(crate) mod jobs;
pub mod measure;
pub mod memory;
pub(crate) mod pending;
pub(crate) mod pending_signals;
pub(crate) mod random;
pub(crate) mod refusal;
pub mod section;
pub(crate) mod send;
pub(crate) mod switch;
pub(crate) mod timer;
pub(crate) mod vector;
pub mod watchdog;
