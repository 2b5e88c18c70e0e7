//! What somebody presses to have the machine turned off: from its interrupt to a job.

use crate::interrupt_pin::{self, PinError};
use crate::machine::Machine;
use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex_arch::acpi::Interrupt;
use reflex_event::Error;
use reflex_hil::Acknowledge;
use reflex_runtime::interrupt::Vector;
use reflex_runtime::job::Job;

/// Why presses are not told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PressError {
    /// The firmware tells of no power button.
    NoButton,
    /// The firmware tells of no keyboard controller, or none answers.
    NoKeyboard,
    /// The firmware keeps the power button's interrupt.
    NotHandedOver,
    /// The interrupt belongs to no controller.
    NoController,
    /// The kernel has no vector, no job or no memory left for it.
    Kernel(Error),
}

impl fmt::Display for PressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoButton => f.write_str("the machine has no power button"),
            Self::NoKeyboard => f.write_str("the machine has no keyboard controller"),
            Self::NotHandedOver => f.write_str("the firmware keeps the power button's interrupt"),
            Self::NoController => f.write_str("its interrupt reaches no interrupt controller"),
            Self::Kernel(error) => write!(f, "the kernel has no room for it: {error}"),
        }
    }
}

impl core::error::Error for PressError {}

impl From<Error> for PressError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<PinError> for PressError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::OutOfMemory => Self::Kernel(Error::OutOfMemory),
            PinError::NoController => Self::NoController,
        }
    }
}

/// From now on, each interrupt asks `take` for the presses since the last, in interrupt code, and `pressed` is
/// called in a job with their number since it last was, at least 1.
pub(crate) fn tell(
    machine: &Machine,
    interrupt: Interrupt,
    take: impl FnMut() -> u32 + Send + 'static,
    mut pressed: impl FnMut(u32) + Send + 'static,
) -> Result<(), PressError> {
    let pin = interrupt_pin::find(machine, interrupt.global)?;
    let vector = Vector::reserve()?;
    let presses: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
    let job = Job::new(move || match presses.swap(0, Relaxed) {
        0 => {}
        count => pressed(count),
    })?;
    vector.post(job, Some(Box::leak(Box::new(Presses { take, presses }))));
    pin.route(vector, interrupt.trigger, interrupt.polarity);
    Ok(())
}

/// The device as interrupt code sees it.
struct Presses<F> {
    take: F,
    presses: &'static AtomicU32,
}

impl<F: FnMut() -> u32 + Send> Acknowledge for Presses<F> {
    fn acknowledge(&mut self) -> bool {
        let count = (self.take)();
        self.presses.fetch_add(count, Relaxed);
        count != 0
    }
}
