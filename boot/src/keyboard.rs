//! Ctrl-Alt-Del, on machines with a keyboard controller.

use crate::machine::Machine;
use crate::press_error::PressError;
use crate::presses;
use reflex_arch::keyboard::{Keyboard, LINE};

/// From now on, `pressed` is called in a job with how often Ctrl-Alt-Del was pressed since it last was, at
/// least 1. To be called once.
///
/// # Errors
/// [`PressError`].
pub fn watch_ctrl_alt_del(
    machine: &Machine,
    pressed: impl FnMut(u32) + Send + 'static,
) -> Result<(), PressError> {
    let told = machine.firmware.as_ref().filter(|firmware| firmware.keyboard);
    let firmware = told.ok_or(PressError::NoKeyboard)?;
    let (mut keyboard, disabled) = Keyboard::open().ok_or(PressError::NoKeyboard)?;
    presses::tell(machine, firmware.madt.isa(LINE), move || keyboard.take_pressed(), pressed)?;
    if disabled.enable() { Ok(()) } else { Err(PressError::NoKeyboard) }
}
