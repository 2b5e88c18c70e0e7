//! There is no keyboard.

use crate::{Machine, PressError};

/// No press is ever told.
///
/// # Errors
/// [`PressError::NoKeyboard`].
pub fn watch_ctrl_alt_del(
    _: &Machine,
    _: impl FnMut(u32) + Send + 'static,
) -> Result<(), PressError> {
    Err(PressError::NoKeyboard)
}
