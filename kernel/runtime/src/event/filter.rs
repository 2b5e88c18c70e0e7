//! Filters: they are asked whether an occurrence counts, and are application's code.

use crate::context::attempt::{Failed, attempt, attempt_by};
use crate::context::{registry, workers};
use crate::cpu::attributes::{Attributes, Filter};
use crate::cpu::handler::registered;
use crate::dispatch::event_core::{note, timestamp, with_core};
use crate::dispatch::section::Section;
use crate::event::attributes::present;
use reflex_event::{Activation, ContextId, Error, EventId};
use reflex_memory::Lent;

/// `count` occurrences of a watched event: they are counted if its filter lets them, and its
/// time-out begins anew. A cloner's may go straight to a child: to that one's start event, which is
/// returned and to be activated.
#[cold]
#[inline(never)]
pub(crate) fn occurred(cs: &Section, event: EventId, count: u32) -> Result<Option<EventId>, Error> {
    let (context, handler) = with_core(cs, |core| {
        Ok::<_, Error>((core.context_of(event)?, registered(cs, core, event)?))
    })?;
    // There is one of that name, as there is the event.
    let place = registry::existing(cs, context.index)?;
    let attributes = handler.attributes();
    if let Some(workers) = place.worker_pool.get(cs)
        && !attributes.is_some_and(Attributes::watches)
    {
        let info = with_core(cs, |core| core.look_up(event))?;
        if let Some(start) = workers::offer(cs, workers, info, Activation { event, count }) {
            return Ok(start);
        }
    }
    let mut attributes = attributes;
    // Taken out while it is asked, as it may do anything, end this registration included.
    if let Some(asked) = attributes
        && let Some(filter) = asked.filter.take()
    {
        let version = asked.version.get();
        let ask = &*filter;
        let pass = match attempt_by(cs, context, place.supervision, move || ask(count)) {
            Ok(pass) => pass,
            Err(Failed::GivenUp) => {
                // In what state it is nobody knows, so nobody is to drop it.
                registry::forget(filter, registry::reuse(cs, context));
                return Ok(None);
            }
            Err(Failed::NoStack) => {
                // It was not called, so nothing has changed.
                asked.filter.set(Some(filter));
                return Err(Error::LimitReached);
            }
        };
        attributes = match present(cs, event) {
            Ok(Some(now)) if now.version.get() == version => {
                now.filter.set(Some(filter));
                Some(now)
            }
            changed => {
                discard(cs, context, filter);
                changed?;
                present(cs, event)?
            }
        };
        if !pass {
            return Ok(None);
        }
    }
    if let Some(attributes) = attributes {
        attributes.wait_anew(cs)?;
    }
    note(with_core(cs, |core| core.accept(event, count, timestamp()))?);
    Ok(None)
}

/// Drops a filter that is no event's any more, as code of `owner`.
#[cold]
pub(crate) fn discard(cs: &Section, owner: ContextId, filter: Lent<Filter>) {
    let (filter, pool) = filter.into_raw();
    // SAFETY: given up in the line above, and nobody uses it any more. What does not come to its end
    // is forgotten.
    let dropped = attempt(cs, owner, || unsafe { filter.drop_in_place() });
    if dropped.is_some() || registry::reuse(cs, owner).is_at_once() {
        // SAFETY: as above; nothing is left of it, or nobody points to what is.
        unsafe { registry::free_block(filter.cast(), pool) };
    }
}
