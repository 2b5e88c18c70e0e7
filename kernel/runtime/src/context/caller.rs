//! For which context code runs: what the running context may do, and what is refused where the code
//! that runs on its stack is not its own, or where no other can run.

use crate::cpu;
use crate::dispatch::event_core::running;
use crate::dispatch::section;
use crate::dispatch::section::{Section, section};
use reflex_event::{ContextId, Error};

/// The context that is running, if one is, in code of its own.
///
/// # Errors
/// [`Error::Busy`] in a filter, which runs on the stack of whatever context has activated its event.
pub(crate) fn any() -> Result<Option<ContextId>, Error> {
    section(|cs| if is_under_way(cs) { Err(Error::Busy) } else { Ok(running(cs)) })
}

/// The context that is running, in code of its own.
///
/// # Errors
/// As [`any`]; [`Error::Busy`] outside any context.
pub(crate) fn own() -> Result<ContextId, Error> {
    any()?.ok_or(Error::Busy)
}

/// The running context, if it may wait, or keep others waiting.
///
/// # Errors
/// [`Error::Busy`] outside any context, and when dispatch is deferred, as in a filter.
pub(crate) fn undeferred() -> Result<ContextId, Error> {
    if section::deferred() { Err(Error::Busy) } else { own() }
}

/// Whether code is being called on behalf of another than the running context.
pub(crate) fn is_under_way(cs: &Section) -> bool {
    cpu::this().attempt.get(cs).is_some()
}
