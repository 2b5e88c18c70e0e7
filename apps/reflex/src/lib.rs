//! Reflex: network appliances whose handlers are called straight from interrupts.
//!
//! An application depends on this crate alone. Its `main` gets a [`System`], makes contexts,
//! registers handlers with sources of events, and returns; from then on the image is nothing but
//! its handlers.
//!
//! ```ignore
//! #[reflex::main]
//! fn main(system: System) -> Result<(), Error> {
//!     let clock = system.context("clock", Clock::default()).priority(Priority::HIGH).build()?;
//!     system.every(Duration::from_millis(10)).on(clock, Clock::tick)?;
//!     Ok(())
//! }
//! ```
#![no_std]

extern crate alloc;

mod busy;
mod conclude;
mod context;
mod entry;
mod error;
pub mod net;
mod signal;
mod system;
mod test;
mod timer;

pub use context::{Context, ContextBuilder};
pub use error::Error;
pub use log;
pub use net::{
    Connection, ConnectionError, Connector, Datagram, Listener, NetError, TcpService, UdpService,
    UdpSocket,
};
pub use reflex_boot::devices::NicError;
pub use reflex_boot::{
    Accumulation, Activation, EventError, EventId, Instant, Kernel, Pool, PoolBox, Priority,
    Registration, Runtime, TimerId, exit as status,
};
#[cfg(feature = "bench")]
pub use reflex_boot::{Acknowledge, Job, Vector, bench, machine_line, measure};
pub use reflex_http as http;
pub use reflex_macros::{main, test};
pub use signal::{Fired, Signal, SignalBuilder, SignalMode};
pub use system::System;
pub use timer::{Tick, Timer, TimerBuilder};

/// What the macros refer to. Not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::conclude::conclude;
    pub use crate::test::{Outcome, TESTS, Test, run as run_tests};
    pub use linkme;
}
