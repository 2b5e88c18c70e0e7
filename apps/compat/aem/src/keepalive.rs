//! `enter_keepalive`: a context that stays alive for its handlers and does nothing else.

use alloc::vec::Vec;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Ceiling, EventId};
use reflex::{ContextId, Error, EventError, Runtime, System};

/// Contexts in keepalive, and those that were signalled before they came.
static KEEPALIVES: Keepalives = Keepalives(Ceiling::new(Vec::new()));

struct Keepalives(Ceiling<Vec<Waiting>>);

struct Waiting {
    context: ContextId,
    /// What it waits for; `None` when it was signalled and has not come yet.
    event: Option<EventId>,
}

impl Keepalives {
    /// Lets `context` wait for `event`. False when it was signalled already.
    fn enter(&self, kernel: Runtime, context: ContextId, event: EventId) -> bool {
        self.0.with(&kernel, |entries| {
            let before = entries.iter().position(|entry| entry.context == context);
            let before = before.map(|at| entries.swap_remove(at));
            let waits = before.is_none_or(|entry| entry.event.is_some());
            if waits {
                entries.push(Waiting { context, event: Some(event) });
            }
            waits
        })
    }

    /// Signals `context`: what it waits for, if it does.
    fn leave(&self, kernel: Runtime, context: ContextId) -> Option<EventId> {
        self.0.with(&kernel, |entries| {
            let at = entries.iter().position(|entry| entry.context == context);
            let Some(at) = at else {
                entries.push(Waiting { context, event: None });
                return None;
            };
            let event = entries[at].event?;
            entries.swap_remove(at);
            Some(event)
        })
    }
}

/// Lets the calling context wait until it is signalled by [`leave_keepalive`]; a signal that came
/// before is not lost. DisabledPolicy all other contexts' handlers run, as they do when `main` has
/// returned.
///
/// # Errors
/// When the calling context may not wait, or memory or a table does not allow it to.
pub fn enter_keepalive(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let waiter = system.waiter()?;
    // A context runs, or there would be no waiter.
    let context = system.running().ok_or(EventError::Busy)?;
    if KEEPALIVES.enter(kernel, context, waiter.event()) {
        waiter.wait()?;
    }
    Ok(())
}

/// Signals a context: it leaves [`enter_keepalive`], or will return from there at once. The calling
/// context's name is [`Runtime::running`](reflex::Runtime::running)'s answer.
///
/// # Errors
/// [`EventError::NoContext`] when there is no such context (any more).
pub fn leave_keepalive(system: System, context: ContextId) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    // Only to see whether it is there.
    kernel.policy(context)?;
    if let Some(event) = KEEPALIVES.leave(kernel, context) {
        kernel.activate(event, 1)?;
    }
    Ok(())
}
