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
use crate::dispatch::with_core;
use crate::section::Section;
use crate::{budget, deadline, registry, retire};
use reflex_event::{Error, EventId};

/// Has dispatch call `handler`, which is or becomes a registration's, as is asked for.
///
/// # Safety
/// The handler is live.
pub(crate) unsafe fn route(_: &Section, handler: Handler, limited: bool) {
    // SAFETY: the caller's duty.
    let (own, extras) = unsafe { (handler.kind().call, handler.extras()) };
    let timed = extras.is_some_and(|extras| extras.deadline.get() != 0);
    let call: Call = match (limited, timed) {
        (false, false) => own,
        (true, false) => budget::limited_call,
        (false, true) => deadline::timed,
        (true, true) => deadline::timed_and_limited,
    };
    // SAFETY: the caller's duty; the others call the handler's own.
    unsafe { handler.set_call(call) }
}

/// [`route`] for a registration that there is. One that is only there [to be dropped](retire) is never
/// called any more, whatever is asked for.
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn route_anew(cs: &Section, event: EventId) -> Result<(), Error> {
    let (context, handler) =
        with_core(cs, |core| Ok((core.look_up(event)?.context, core.handler(event)?)))?;
    let limited = registry::supervision(cs, context)?.is_some_and(|it| it.budget.is_some());
    // SAFETY: a live registration's handler is live.
    unsafe {
        if !retire::is_last(handler) {
            route(cs, handler, limited);
        }
    }
    Ok(())
}
