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

use crate::context::registry;
use crate::cpu::handler::{Header, registered};
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::Section;
use crate::event::budget::Limited;
use crate::event::deadline::{Timed, TimedAndLimited};
use crate::event::retire::Last;
use reflex_event::{Error, EventId};

/// Has dispatch call `handler`, which is or becomes a registration's, as is asked for.
pub(crate) fn route(_: &Section, handler: &Header, limited: bool) {
    let timed = handler.attributes().is_some_and(|attributes| attributes.deadline.get() != 0);
    match (limited, timed) {
        (false, false) => handler.set_own_way(),
        (true, false) => handler.set_way::<Limited>(),
        (false, true) => handler.set_way::<Timed>(),
        (true, true) => handler.set_way::<TimedAndLimited>(),
    }
}

/// [`route`] for a registration that there is. One that is only there [to be dropped](Last) is never
/// called any more, whatever is asked for.
///
/// # Errors
/// [`Error::Stale`].
pub(crate) fn route_anew(cs: &Section, event: EventId) -> Result<(), Error> {
    let (context, handler) =
        with_core(cs, |core| Ok((core.look_up(event)?.context, registered(cs, core, event)?)))?;
    let limited = registry::supervision(cs, context)?.is_some_and(|it| it.budget.is_some());
    if !handler.goes_by::<Last>() {
        route(cs, handler, limited);
    }
    Ok(())
}
