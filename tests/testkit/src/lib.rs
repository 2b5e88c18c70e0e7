//! Host fakes for tests: a kernel on one thread with a clock of its own, network interfaces
//! joined by wires that lose, repeat and reorder, disks that lose what was not flushed, event pools, seeded randomness, a trace, and
//! an allocator that counts.
//!
//! Everything is deterministic: the same seed gives the same run.

mod allocator;
mod clock;
mod disk;
mod flight;
mod kernel;
mod nic;
mod peer;
mod pool;
mod random;
mod trace;

pub use allocator::CountingAllocator;
pub use clock::Clock;
pub use disk::{Medium, SimDisk};
pub use flight::{Faults, Flight};
pub use kernel::{Counts, SimKernel};
pub use nic::{Arrivals, Nic, Receiver, Wire};
pub use peer::{DatagramSocket, Datagrams, Peer, Stream, TcpHandle};
pub use pool::pool;
pub use random::Random;
/// The traits that are faked, for tests of crates that do not import them.
pub use reflex_hil as hil;
pub use trace::Trace;
