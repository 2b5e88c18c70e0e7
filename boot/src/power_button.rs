//! The machine's power button: from its interrupt to a job.

use crate::address_space::map_device;
use crate::interrupt_pin::{self, PinError};
use crate::machine::Machine;
use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex_arch::acpi;
use reflex_arch::power_button::PowerButton;
use reflex_event::Error;
use reflex_hil::Acknowledge;
use reflex_runtime::interrupt::Vector;
use reflex_runtime::job::Job;

/// Why presses are not told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ButtonError {
    /// The firmware tells of no power button.
    None,
    /// The firmware keeps its interrupt.
    NotHandedOver,
    /// Its interrupt belongs to no controller.
    NoController,
    /// The kernel has no vector, no job or no memory left for it.
    Kernel(Error),
}

impl fmt::Display for ButtonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("the machine has no power button"),
            Self::NotHandedOver => f.write_str("the firmware keeps the power button's interrupt"),
            Self::NoController => {
                f.write_str("the power button's interrupt reaches no interrupt controller")
            }
            Self::Kernel(error) => write!(f, "the power button is not heard: {error}"),
        }
    }
}

impl core::error::Error for ButtonError {}

impl From<Error> for ButtonError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<PinError> for ButtonError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::OutOfMemory => Self::Kernel(Error::OutOfMemory),
            PinError::NoController => Self::NoController,
        }
    }
}

/// From now on, `pressed` is called in a job with the number of presses since it last was, at least 1. To
/// be called once.
///
/// # Errors
/// [`ButtonError`].
pub fn watch_power_button(
    machine: &Machine,
    mut pressed: impl FnMut(u32) + Send + 'static,
) -> Result<(), ButtonError> {
    static PRESSES: AtomicU32 = AtomicU32::new(0);
    let firmware = machine.firmware.as_ref().ok_or(ButtonError::None)?;
    let found = firmware.power_button.ok_or(ButtonError::None)?;
    let (global, trigger, polarity) = match found {
        acpi::PowerButton::Fixed { line, .. } => {
            let interrupt = firmware.madt.isa(line);
            (interrupt.global, interrupt.trigger, interrupt.polarity)
        }
        acpi::PowerButton::Generic { register, global, trigger, polarity, .. } => {
            map_device(register, 4).map_err(|_| Error::OutOfMemory)?;
            (global, trigger, polarity)
        }
    };
    let pin = interrupt_pin::find(machine, global)?;
    let vector = Vector::reserve()?;
    let job = Job::new(move || match PRESSES.swap(0, Relaxed) {
        0 => {}
        presses => pressed(presses),
    })?;
    // SAFETY: in ring 0; what the firmware tells, mapped above if it is in memory; nothing else uses the
    // registers, as there is one call of this.
    let button = Box::leak(Box::new(Pressed(unsafe { PowerButton::new(found) }, &PRESSES)));
    // Before its interrupt is let through, which is the acknowledgement's from then on.
    if !button.0.enable() {
        return Err(ButtonError::NotHandedOver);
    }
    vector.post(job, Some(button));
    pin.route(vector, trigger, polarity);
    Ok(())
}

/// The button as interrupt code sees it.
struct Pressed(PowerButton, &'static AtomicU32);

impl Acknowledge for Pressed {
    fn acknowledge(&mut self) -> bool {
        let pressed = self.0.take_pressed();
        if pressed {
            self.1.fetch_add(1, Relaxed);
        }
        pressed
    }
}
