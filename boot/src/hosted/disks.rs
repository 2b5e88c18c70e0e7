//! Disks that the test has plugged in.

pub use crate::DiskError;

use crate::Machine;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_arch::hosted::processor;
use reflex_event::{EventId, EventSystem};
use reflex_hil::Block;
use reflex_runtime::Runtime;
use reflex_runtime::interrupt::Vector;

/// Raises a disk's interrupt.
pub type Interrupt = Arc<dyn Fn() + Send + Sync>;

/// Is given that when the machine has connected it.
pub type Connect = Box<dyn FnOnce(Interrupt) + Send>;

/// A disk's interrupt, not yet about anything.
pub struct DiskLine {
    vector: Vector,
    connect: Connect,
}

impl DiskLine {
    /// From now on, `served` occurs when requests may be done, and once at the beginning.
    ///
    /// # Errors
    /// Those of activating it.
    pub fn connect(self, kernel: Runtime, served: EventId) -> Result<(), reflex_event::Error> {
        self.vector.activate(served, None);
        let number = self.vector.number();
        (self.connect)(Arc::new(move || processor::raise(number)));
        kernel.activate(served, 1)
    }
}

/// A disk and its interrupt.
pub type Found = (Box<dyn Block>, DiskLine);

/// All disks of the machine, in the order in which they were plugged in. Each is to be had once.
pub fn disks(machine: &Machine, _: impl FnMut() -> bool) -> Vec<Result<Found, DiskError>> {
    let plugged = machine.devices.take_disks();
    let found = plugged.into_iter().map(|(disk, connect)| {
        let vector = Vector::reserve()?;
        Ok((disk, DiskLine { vector, connect }))
    });
    found.collect()
}
