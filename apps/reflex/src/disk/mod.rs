//! Disks, and partitions of them: reads, writes, flushes and discards as events, with the memory by value.
//!
//! [`System::disk`] finds one by its name, and it belongs to the context that it is opened for: its handler is told of
//! each [`Request`] that is done, by a [`Completion`] that has the memory.
//!
//! ```
//! # use reflex::testing::{Medium, Simulation};
//! use reflex::disk::{Completion, Disk, Operation, Request, SECTOR};
//! use reflex::prelude::*;
//! use reflex::supervise::Setup;
//!
//! struct Boots {
//!     disk: Disk,
//!     count: u8,
//! }
//!
//! impl Boots {
//!     fn start(system: System, setup: Setup<'_, Boots>) -> Result<Boots> {
//!         let disk = system.disk("disk0")?.on(setup.context(), Boots::done)?;
//!         let sector = system.pool(setup.context())?.bytes(SECTOR).map_err(|_| "no memory")?;
//!         disk.submit(Request::read(0, sector))?;
//!         Ok(Boots { disk, count: 0 })
//!     }
//!
//!     /// Has read how often it was started: writes one more.
//!     fn done(&mut self, done: &mut Completion<'_>) {
//!         let read = done.operation == Operation::Read && done.is_success();
//!         if let (true, Some(mut sector)) = (read, done.take_bytes()) {
//!             sector[0] += 1;
//!             self.count = sector[0];
//!             let taken = self.disk.submit(Request::write(0, sector));
//!             taken.expect("there is a place: that of the read");
//!         }
//!     }
//! }
//! # let medium = Medium::new(64, 4);
//! # for count in 1..3 {
//! #     let mut sim = Simulation::builder().disk(&medium).start(|system| {
//! system.context_with("boots", move |setup| Boots::start(system, setup)).build()?;
//! #         Ok::<(), Error>(())
//! #     }).unwrap();
//! #     sim.run();
//! #     assert_eq!(sim.state("boots", |boots: &mut Boots| boots.count), count);
//! # }
//! ```
//!
//! A write is durable when a [flush](Request::flush) that was submitted after its completion is complete.

mod builder;
mod start;

pub use builder::DiskBuilder;
#[doc(inline)]
pub use reflex_block::{
    BlockError, BlockInfo, Completion, Counters, Error as DiskError, Failure, Operation, Refused,
    Request, SECTOR, Ticket,
};
pub(crate) use start::Disks;

use crate::{Error, System};
use reflex_event::EventSystem as _;
use reflex_runtime::Runtime;

/// A disk, or a partition of one, that belongs to a context.
pub type Disk = reflex_block::Disk<Runtime>;

/// What there is to be opened, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The disk's own name; empty when it has none.
    pub serial: &'a str,
    /// What it is like.
    pub info: &'a BlockInfo,
    /// Its partitions.
    pub partitions: &'a [reflex_block::Partition],
}

impl System {
    /// The disk of that name: what the disk says it is called (QEMU's `serial=`), or `disk0`, `disk1` and so on by
    /// their places. Behind a `/` may stand a partition's label, or its number from 1 on: `data/logs`, `disk0/2`.
    ///
    /// The first call starts all disks of the machine, which takes its time, with all handlers waiting: it is best
    /// made in `main`.
    ///
    /// # Errors
    /// [`Error::Disk`] when there is none; others when memory does not allow it.
    pub fn disk(self, name: &str) -> Result<DiskBuilder, Error> {
        let (device, range) = self.disks_started()?.find(name).ok_or(Error::Disk(ABSENT))?;
        Ok(DiskBuilder::new(device.clone(), range))
    }

    /// All disks of the machine, in the order of their places.
    ///
    /// # Errors
    /// As [`disk`](Self::disk).
    pub fn disks(self) -> Result<impl Iterator<Item = Listed<'static>>, Error> {
        Ok(self.disks_started()?.list())
    }

    fn disks_started(self) -> Result<&'static Disks, Error> {
        match self.disks_once().get() {
            Some(disks) => Ok(disks),
            // In a section: a handler that came here during the start could only wait for ever.
            None => {
                self.kernel().section(|| self.disks_once().try_call_once(|| Disks::start(self)))
            }
        }
    }
}

const ABSENT: &str = "the machine has no disk or partition of that name";
