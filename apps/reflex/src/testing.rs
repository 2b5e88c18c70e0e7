//! Tests of an appliance on the host, by plain `cargo test`.
//!
//! A [`Simulation`] starts what an image's `main` would start, with the kernel, the library OS and the network stack of an
//! image, on a machine of which the processor, the time and the network are simulated:
//!
//! ```
//! use reflex::prelude::*;
//! use reflex::testing::Simulation;
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! impl TcpService for Greeter {
//!     fn accepted(&mut self, connection: &Connection) {
//!         connection.write(b"Good day.\n");
//!     }
//!
//!     fn received(&mut self, connection: &Connection) {
//!         connection.discard();
//!     }
//! }
//!
//! fn setup(system: System) -> Result {
//!     let greeter = system.context("greeter", Greeter).build()?;
//!     system.tcp(2000).serve(greeter)?;
//!     Ok(())
//! }
//!
//! let mut sim = Simulation::new(setup).unwrap();
//! let client = sim.connect(2000);
//! sim.run();
//! assert_eq!(client.received(), b"Good day.\n");
//! ```
//!
//! **Time is virtual**: it passes in [`run`](Simulation::run), as far as frames are on their way, and in
//! [`advance`](Simulation::advance) and [`run_until`](Simulation::run_until); code of the machine takes none, but for a
//! nanosecond when it reads the clock. **The same seed gives the same run**; the seed of a test that fails is printed, and
//! `REFLEX_SEED` in the environment, or [`Builder::seed`], is another one.
//!
//! **A panic** in a handler ends its context, if that may fail alone, and the image otherwise: then what runs the
//! simulation panics with it, and so the test. There is one machine at a time in a process: tests that run at the same
//! time take turns. What an earlier machine had of memory stays taken until the process ends.
//!
//! **Disks** are [`Medium`]s, which a [`Builder`] plugs in. They keep what a machine has written for the next one; what
//! was not flushed may be [lost](Medium::cut) with the power.
//!
//! What takes an image to be shown: processor exceptions, stack overflows and endless loops, each of which ends the
//! process of the tests; the global heap's bound; the console's input; RDMA peers; how long something takes. Handlers
//! are preempted where they call the system, and not between.

mod builder;
mod client;
mod datagrams;
mod simulation;
mod world;

pub use builder::{Builder, StartError};
pub use client::Client;
pub use datagrams::Datagrams;
pub use reflex_testkit::{Faults, Medium, Random};
pub use simulation::Simulation;

/// What a program of a package is, where Cargo has built it beside the package's tests.
#[doc(hidden)]
pub fn no_image() -> i32 {
    std::eprintln!("this was built for tests: `cargo reflex build` makes the image");
    1
}
