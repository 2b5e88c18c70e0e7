//! What a context is doing, as others see it.

use crate::context::HELD;
use crate::core::Core;
use crate::gate::Gate;
use crate::trouble::{Notice, Troubles};
use crate::{ContextId, Error};

/// What a context is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContextState {
    /// It has nothing to do.
    Idle,
    /// Its activations are queued, and others run first.
    Ready,
    /// Its handler runs.
    Running,
    /// Its handler was preempted.
    Preempted,
    /// Its handler waits for an event.
    Waiting,
    /// Its activations are not run but taken: a ring, or what new contexts are made from.
    Taken,
    /// It may not run for the time being.
    Held,
}

impl<H: Copy, C: Copy> Core<H, C> {
    /// What a context is doing, and how many registrations it has.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn context_state(&mut self, context: ContextId) -> Result<(ContextState, u32), Error> {
        let index = self.contexts.index(context)?;
        let running = index == self.running;
        let record = *self.contexts.at(index);
        let account = self.contexts.account(index);
        let state = match (record.effective, record.active) {
            _ if running => ContextState::Running,
            (HELD, _) if account.waiting => ContextState::Waiting,
            (HELD, _) if account.taken.is_some() => ContextState::Taken,
            (HELD, _) => ContextState::Held,
            (0, _) => ContextState::Idle,
            (_, 0) => ContextState::Ready,
            _ => ContextState::Preempted,
        };
        Ok((state, account.registered))
    }

    /// The running context ends, and another begins in its place and goes on with what is on the
    /// stack: the same handler, with the only registration that it has.
    ///
    /// # Errors
    /// [`Error::NoContext`] when it is not the running one; [`Error::Busy`] while it has other
    /// registrations, or is excluded or to be stopped; [`Error::UsedUp`] when its place has no name
    /// left: the context goes on as it is.
    pub fn renew_running(&mut self, context: ContextId) -> Result<ContextId, Error> {
        let index = self.contexts.index(context)?;
        if index != self.running {
            return Err(Error::NoContext);
        }
        let record = self.contexts.at(index);
        let (serving, stopping) = (record.serving, record.stopping);
        let account = self.contexts.account(index);
        let only = account.registered == 1 && account.first_owned == serving;
        if !only || stopping || account.holds != 0 {
            return Err(Error::Busy);
        }
        let name = self.contexts.rename(index)?;
        let account = self.contexts.account(index);
        account.notice = Notice { event: None, troubles: Troubles::NONE };
        account.shed = 0;
        // It may have been the registration that told of trouble.
        self.table.at(serving).gate.set(Gate::NOTICE, false);
        Ok(name)
    }
}
