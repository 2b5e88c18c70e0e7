//! Disks: started, and each given its interrupt.

pub use crate::DiskError;

use crate::devices::{self, Wire};
use crate::identity::Identity;
use crate::interrupt_pin::{self, Pin, PinError};
use crate::machine::Machine;
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_arch::ioapic::{Polarity, Trigger};
use reflex_event::{EventId, EventSystem};
use reflex_hil::{Acknowledge, Block, Interrupt};
use reflex_runtime::Runtime;
use reflex_runtime::interrupt::Vector;
use reflex_virtio_bus::{Device, DeviceTransport};
use virtio_drivers::transport::DeviceType;

/// Requests that a disk may have in flight.
const IN_FLIGHT: u16 = 64;

impl From<PinError> for DiskError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::OutOfMemory => Self::Kernel(reflex_event::Error::OutOfMemory),
            PinError::NoController => Self::NoController,
        }
    }
}

/// A disk's interrupt, not yet about anything.
pub struct DiskLine {
    vector: Vector,
    acknowledge: Box<dyn Acknowledge>,
    /// A wire's pin, masked until its interrupts are acknowledged.
    pin: Option<Pin>,
}

impl DiskLine {
    /// From now on, `served` occurs when requests may be done, and once at the beginning.
    ///
    /// # Errors
    /// Those of activating it.
    pub fn connect(self, kernel: Runtime, served: EventId) -> Result<(), reflex_event::Error> {
        self.vector.activate(served, Some(Box::leak(self.acknowledge)));
        if let Some(pin) = self.pin {
            pin.route(self.vector, Trigger::Level, Polarity::High);
        }
        kernel.activate(served, 1)
    }
}

/// A disk and its interrupt.
pub type Found = (Box<dyn Block>, DiskLine);

/// Starts all disks of the machine, in the order of their places; waits for the first answer of each until `expired`.
/// Each is to be had once.
pub fn disks(
    machine: &Machine,
    mut expired: impl FnMut() -> bool,
) -> Vec<Result<Found, DiskError>> {
    let next = || devices::take(machine, DeviceType::Block);
    core::iter::from_fn(next).map(|device| start(machine, device, &mut expired)).collect()
}

fn start(
    machine: &Machine,
    mut device: Device,
    expired: impl FnMut() -> bool,
) -> Result<Found, DiskError> {
    let vector = Vector::reserve()?;
    let mut wire = None;
    let pin = match device.interrupt {
        Interrupt::Messages { .. } => {
            let message = devices::message(machine, vector);
            device.transport.route(&[message]).map_err(DiskError::Bus)?;
            None
        }
        Interrupt::Wired { gsi } => {
            if let DeviceTransport::Mmio(transport) = &device.transport {
                wire = Some(transport.interrupt());
            }
            Some(interrupt_pin::find(machine, gsi)?)
        }
    };
    let opened = reflex_virtio_blk::open::<Identity, _>(device.transport, IN_FLIGHT, expired);
    let disk = opened.map_err(DiskError::Driver)?;
    let quiet = disk.quiet();
    let acknowledge: Box<dyn Acknowledge> = match wire {
        Some(device) => Box::new(Wire { device, receiver: quiet }),
        None => Box::new(quiet),
    };
    Ok((Box::new(disk), DiskLine { vector, acknowledge, pin }))
}
