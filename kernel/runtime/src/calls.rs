//! What dispatch calls for a handler: its own call, inside those of whatever its context and its
//! registration ask for.
//!
//! ```text
//!                       no deadline           a deadline
//!   no time budget      the handler's own     deadline(own)
//!   a time budget       budget(own)           deadline(budget(own))
//! ```
//!
//! It is worked out anew, from what is asked for at present, whenever one of these changes and
//! whenever a handler becomes a registration's. Nothing remembers what was called before: so nothing
//! of a former handler, or of a former wish, can come back.

use crate::bound::{Call, Handler};
use crate::dispatch::CORE;
use crate::{budget, deadline, registry};
use reflex_event::{Error, EventId};

/// Has dispatch call `handler`, which is or becomes a registration's, as is asked for. The caller is
/// in a section.
///
/// # Safety
/// The handler is live.
pub(crate) unsafe fn route(handler: Handler, limited: bool) {
    // SAFETY: the caller's duty.
    let (own, extras) = unsafe { (handler.kind().call, handler.extras()) };
    let timed = extras.is_some_and(|extras| extras.deadline.get() != 0);
    let call: Call = match (limited, timed) {
        (false, false) => own,
        (true, false) => budget::limited,
        (false, true) => deadline::timed,
        (true, true) => deadline::timed_and_limited,
    };
    // SAFETY: the caller's duty; the others call the handler's own.
    unsafe { handler.set_call(call) }
}

/// [`route`] for a registration that there is. The caller is in a section.
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn route_anew(event: EventId) -> Result<(), Error> {
    // SAFETY: in a section; the borrow ends with what is taken from it.
    let core = unsafe { CORE.get() };
    let (context, handler) = (core.look_up(event)?.context, core.handler(event)?);
    let limited = registry::supervision(context)?.is_some_and(|it| it.budget.is_some());
    // SAFETY: a live registration's handler is live.
    unsafe { route(handler, limited) };
    Ok(())
}
