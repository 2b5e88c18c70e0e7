//! The machine's power button.

use crate::address_space::map_device;
use crate::machine::Machine;
use crate::press_error::PressError;
use crate::presses;
use reflex_arch::acpi::{self, Interrupt};
use reflex_arch::power_button::PowerButton;
use reflex_event::Error;

/// From now on, `pressed` is called in a job with the number of presses since it last was, at least 1. To
/// be called once.
///
/// # Errors
/// [`PressError`].
pub fn watch_power_button(
    machine: &Machine,
    pressed: impl FnMut(u32) + Send + 'static,
) -> Result<(), PressError> {
    let firmware = machine.firmware.as_ref().ok_or(PressError::NoButton)?;
    let found = firmware.power_button.ok_or(PressError::NoButton)?;
    let interrupt = match found {
        acpi::PowerButton::Fixed { line, .. } => firmware.madt.isa(line),
        acpi::PowerButton::Generic { register, global, trigger, polarity, .. } => {
            map_device(register, 4).map_err(|_| Error::OutOfMemory)?;
            Interrupt { global, trigger, polarity }
        }
    };
    // SAFETY: in ring 0; what the firmware tells, mapped above if it is in memory; nothing else uses the
    // registers, as there is one call of this.
    let mut button = unsafe { PowerButton::new(found) };
    // Before its interrupt is let through, which is the acknowledgement's from then on.
    if !button.enable() {
        return Err(PressError::NotHandedOver);
    }
    presses::tell(machine, interrupt, move || button.take_pressed().into(), pressed)
}
