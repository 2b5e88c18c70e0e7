//! The power button, which the test presses.

use crate::{Machine, PressError};
use reflex_runtime::interrupt::Vector;
use reflex_runtime::job::Job;

/// From now on, `pressed` is called in a job for each press.
///
/// # Errors
/// [`PressError::Kernel`].
pub fn watch_power_button(
    machine: &Machine,
    mut pressed: impl FnMut(u32) + Send + 'static,
) -> Result<(), PressError> {
    let vector = Vector::reserve()?;
    vector.post(Job::new(move || pressed(1))?, None);
    machine.devices.set_power_button(vector);
    Ok(())
}
