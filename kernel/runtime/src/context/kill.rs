//! Contexts that are to be given up: as soon as no guarded call is open on their stacks.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::registry;
use crate::cpu;
use crate::cpu::job::LAST;
use crate::cpu::reason::Reason;
use crate::cpu::scope::KILL_PENDING;
use crate::cpu::supervision::{Life, Supervision};
use crate::dispatch::event_core::with_core;
use crate::dispatch::pending;
use crate::dispatch::section::Section;
use core::sync::atomic::Ordering::Relaxed;
use reflex_event::{ContextId, Error};

/// Notes where a context's reserve is.
pub(crate) fn set_reserve(context: ContextId, begin: usize) {
    if let Some(place) = cpu::this().reserves.get(usize::from(context.index)) {
        place.store(begin, Relaxed);
    }
}

/// Has a context given up as soon as it can be.
pub(crate) fn set_pending(cs: &Section, supervision: &'static Supervision, reason: Reason) {
    let context = supervision.context(cs);
    if supervision.life.get() != Life::Up {
        return;
    }
    let guards = with_core(cs, |core| {
        let guards = &mut core.machine(context).scopes.guards;
        let before = *guards;
        *guards |= KILL_PENDING;
        before
    });
    if guards & KILL_PENDING != 0 {
        return;
    }
    supervision.reason.set(reason);
    cpu::this().pending_kills.set(cs, cpu::this().pending_kills.get(cs).with(context));
    // Else it is given up when the last guarded call ends.
    if guards == 0 {
        pending::post(LAST);
    }
}

/// Gives a context up for a reason of somebody else's.
///
/// # Errors
/// [`Error::NoContext`]; [`Error::NotAllowed`] when it is not supervised.
pub(crate) fn request(cs: &Section, context: ContextId) -> Result<(), Error> {
    let supervision = registry::get(cs, context)?.supervision.ok_or(Error::NotAllowed)?;
    set_pending(cs, supervision, Reason::Requested);
    Ok(())
}
