//! Reflex: network appliances with handlers that are called straight from interrupts.
//!
//! An application depends on this crate alone. Its `main` gets a [`System`], makes contexts,
//! registers handlers with sources of events, and returns; from then on the image is nothing but
//! its handlers. This one is `apps/greeter`:
//!
//! ```no_run
#![doc = include_str!("../../greeter/src/main.rs")]
//! ```
//!
//! | what there is | where |
//! | --- | --- |
//! | what nearly every application uses | [`prelude`] |
//! | contexts: a state, and the handlers that have it | [`System::context`], [`ContextBuilder`], [`Context`] |
//! | timers | [`System::every`], [`System::after`], [`Timer`]; many deadlines of one registration: [`System::timers`], [`KeyedTimers`] |
//! | signals that the application fires | [`System::signal`], [`Signal`] |
//! | TCP | [`net`]: [`System::tcp`], [`net::TcpService`], [`net::Connection`]; a state for each connection: [`net::Session`]; outgoing: [`System::connector`], [`net::Connector`] |
//! | UDP | [`System::udp`], [`net::UdpService`], [`net::UdpSocket`] |
//! | HTTP: files, and routes with handlers | [`http`]: [`System::http`], [`http::Request`], [`http::Reply`]; bodies in pieces: [`http::Exchange`] |
//! | RDMA | [`rdma`]: [`System::rdma`], [`rdma::ProtectionDomain`], [`rdma::QueuePair`], [`rdma::CompletionQueue`], [`rdma::ConnectionManager`] |
//! | messages with tags, and publications, over TCP and RDMA | [`netio`]: [`System::netio`], [`netio::Endpoint`] |
//! | disks and partitions | [`disk`]: [`System::disk`], [`disk::Disk`], [`disk::Request`], [`disk::Completion`] |
//! | events of any kind, with data | [`kind`], [`System::subscribe`]; in batches from a ring: [`System::completions`] |
//! | control of a registration | [`Registered`] |
//! | messages between contexts | [`channel`]: [`System::channel`], [`Sender`] |
//! | a value that several contexts share | [`System::mutex`], [`Mutex`] |
//! | memory of a context's own | [`collections`], by [`Setup::memory`]; boxes: [`Setup::own`]; blocks lent to others: [`Pool`]; when it is short: [`kind::Memory`], [`System::on_trouble`] |
//! | what becomes of a context that fails | [`supervise`]: [`System::context_with`], [`System::supervise`], [`OnFailure`] |
//! | new handlers and states while others serve | [`System::replace`], [`Replacement`] |
//! | counters, gauges, histograms | [`metrics`]: [`macro@metric`], [`System::metrics`] |
//! | keys of the kernel command line, and secrets | [`Argument`], [`macro@main`], [`System::secret`], [`Secret`] |
//! | the power button | [`System::on_shutdown`], [`System::shut_down`] |
//! | tests | inside an image: [`macro@test`]; on the host, with the feature `testing`: `testing::Simulation` |
#![cfg_attr(not(feature = "testing"), no_std)]

extern crate alloc;

mod argument;
mod batch;
mod busy;
pub mod channel;
mod cloner;
mod completions;
mod conclude;
mod context;
mod context_builder;
pub mod disk;
mod entry;
mod error;
pub mod http;
mod image;
mod inherit;
mod keyed_timers;
pub mod kind;
pub mod metrics;
mod mutex;
pub mod net;
pub mod netio;
mod policy;
pub mod prelude;
pub mod raw;
pub mod rdma;
mod registered;
mod replace;
mod setup;
mod shutdown;
mod signal;
mod stats;
mod subscription;
pub mod supervise;
mod system;
mod test;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod timer;
mod trouble;
mod wait;

pub use argument::Argument;
pub use batch::{Batch, Operation, Prepared, Submitted};
pub use channel::Sender;
pub use cloner::{Cloner, ClonerBuilder};
pub use context::Context;
pub use context_builder::ContextBuilder;
pub use error::Error;
pub use keyed_timers::{KeyedTimers, KeyedTimersBuilder};
pub use log;
pub use reflex_boot::Secret;
pub use reflex_boot::context_config::ConfigError;
pub use reflex_boot::devices::NicError;
#[cfg(all(feature = "bench", not(feature = "testing")))]
pub use reflex_boot::{errand, pages};
pub use reflex_boot::{exit as status, machine_line};
pub use reflex_collections as collections;
pub use reflex_event::{
    Accumulation, Activation, Ceiling, ContextId, ContextState, DisabledPolicy,
    Error as EventError, EventId, Executor, Executors, Info, Instant, Latency, Limits,
    OverflowPolicy, Policy, Priority, Registration, TimerId, Trouble,
};
#[cfg(feature = "bench")]
pub use reflex_hil::Acknowledge;
pub use reflex_keyed_timers::{Counters as KeyedTimersCounters, Refused as DeadlineRefused};
pub use reflex_macros::{main, metric, test};
pub use reflex_memory::{Lent, Pool, PoolStats, Scheme, Shared};
pub use reflex_runtime::{
    Completions, ContextInfo, LockError, Mutex, Pending, Protected, Quarantine, ReplaceError,
    Reuse, Runtime, Usage, Waited, Waiter,
};
#[cfg(feature = "bench")]
pub use reflex_runtime::{bench, interrupt::Vector, job::Job, measure};
pub use registered::Registered;
pub use replace::{Replacement, Serving};
pub use shutdown::ShutdownRequested;
pub use signal::{Fired, Signal, SignalBuilder, SignalMode};
pub use subscription::{Event, InTime, Submission, Subscription, Within};
pub use supervise::{Backoff, OnFailure, Own, PoolBox, Reason, Setup, Stopped, Verdict};
pub use system::System;
pub use timer::{Tick, Timer, TimerBuilder};
pub use trouble::Scarcity;

/// What most functions of an application return; `main`, too.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// Writes a line to the console, as it is.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::__private::line(::core::format_args!($($text)*)) };
}

/// What the macros refer to. Not for other code.
#[doc(hidden)]
pub mod __private {
    pub use crate::conclude::conclude;
    pub use crate::metrics::METRICS;
    pub use crate::test::{ARGUMENTS as TEST_ARGUMENTS, Outcome, TESTS, Test, run as run_tests};
    pub use linkme;
    pub use reflex_boot::console::line;
}
