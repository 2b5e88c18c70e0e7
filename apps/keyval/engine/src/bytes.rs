//! Bytes in the context's memory.

use crate::failure::Failure;
use reflex_collections::Vec;

/// Puts `bytes` behind what there is, in one copy.
///
/// # Errors
/// [`Failure::OutOfMemory`]; nothing has changed.
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Failure> {
    to.try_reserve(bytes.len()).map_err(|_| Failure::OutOfMemory)?;
    let end = to.len();
    to.resize(end + bytes.len(), 0);
    to[end..].copy_from_slice(bytes);
    Ok(())
}

/// Puts an element behind what there is.
///
/// # Errors
/// [`Failure::OutOfMemory`]; nothing has changed.
pub(crate) fn push<T>(to: &mut Vec<T>, element: T) -> Result<(), Failure> {
    to.try_reserve(1).map_err(|_| Failure::OutOfMemory)?;
    to.push(element);
    Ok(())
}
