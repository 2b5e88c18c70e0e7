//! What somebody presses to have the machine turned off: from its interrupt to a job.

use crate::interrupt_pin::{self, PinError};
use crate::machine::Machine;
use crate::press_error::PressError;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex_arch::acpi::Interrupt;
use reflex_event::Error;
use reflex_hil::Acknowledge;
use reflex_runtime::interrupt::Vector;
use reflex_runtime::job::Job;

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
