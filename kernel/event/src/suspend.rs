//! Contexts that do not compete: held, stopped, waiting, given up.

use crate::context::{HELD, NOBODY, Taking};
use crate::core::{Core, Next, Outcome};
use crate::gate::Gate;
use crate::queue::Rank;
use crate::table::NONE;
use crate::{ContextId, Error, EventId, Limits};

/// What a context that is to wait finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the core counts on this being carried out"]
pub enum Wait {
    /// The event had occurred this often, and now has not any more.
    Occurred(u32),
    /// The event did not occur in time.
    TimedOut,
    /// The context does not go on; this runs next.
    Blocked(Next),
}

impl<H: Copy, C: Copy> Core<H, C> {
    /// Keeps a context that does not run from running, whatever is activated, until
    /// [`Core::resume`] has been called as often. A handler on its stack stays there.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when the context runs.
    pub fn suspend(&mut self, context: ContextId) -> Result<(), Error> {
        let index = self.contexts.index(context)?;
        if index == self.running {
            return Err(Error::Busy);
        }
        self.flush_fast_path();
        self.contexts.account(index).holds += 1;
        let old = core::mem::replace(&mut self.contexts.at(index).effective, HELD);
        self.withdraw(index, old);
        Ok(())
    }

    /// Takes one reason to hold a context away.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when nothing holds it.
    pub fn resume(&mut self, context: ContextId) -> Result<Outcome, Error> {
        let index = self.contexts.index(context)?;
        let account = self.contexts.account(index);
        let excluded = account.excluded_by != NOBODY;
        let reasons = [account.waiting, account.taken.is_some(), excluded];
        if account.holds <= reasons.into_iter().map(u16::from).sum() {
            return Err(Error::Busy);
        }
        Ok(self.let_go(index))
    }

    fn let_go(&mut self, context: u16) -> Outcome {
        self.flush_fast_path();
        let account = self.contexts.account(context);
        account.holds -= 1;
        if account.holds == 0 {
            let record = self.contexts.at(context);
            let rank = record.active.max(record.queued);
            self.set_rank(context, rank);
        }
        self.outcome()
    }

    /// Holds a context in the running one's name, which until [`Core::unblock`] has at least the
    /// priority of what is pending there: whatever waits because of it makes it be done soon. False
    /// when the running context excludes it already.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when it is the running context or another excludes it.
    pub fn exclude(&mut self, context: ContextId) -> Result<bool, Error> {
        let index = self.contexts.index(context)?;
        let by = self.contexts.account(index).excluded_by;
        if self.running == NOBODY || by != NOBODY && by != self.running {
            return Err(Error::Busy);
        }
        let anew = by == NOBODY;
        if anew {
            self.suspend(context)?;
            self.contexts.account(index).excluded_by = self.running;
        }
        // A handler that was preempted is kept from going on too.
        let record = self.contexts.at(index);
        let pending = record.queued.max(record.active);
        self.inherit(self.running, pending);
        Ok(anew)
    }

    /// Ends the exclusion of a context by `by`, which has its own priority again: call this for all
    /// that it excludes, one after the other.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when it is not excluded by that one.
    pub fn unblock(&mut self, context: ContextId, by: ContextId) -> Result<Outcome, Error> {
        let index = self.contexts.index(context)?;
        let by = self.contexts.index(by)?;
        if self.contexts.account(index).excluded_by != by {
            return Err(Error::NotAllowed);
        }
        self.flush_fast_path();
        self.contexts.account(index).excluded_by = NOBODY;
        self.disinherit(by);
        Ok(self.let_go(index))
    }

    /// Gives a context's handler at least the given rank.
    pub(crate) fn inherit(&mut self, context: u16, rank: Rank) {
        let record = self.contexts.at(context);
        if record.active == 0 || rank <= record.active {
            return;
        }
        record.active = rank;
        if rank > record.effective {
            // What was to begin next may not be the best any more.
            self.flush_fast_path();
            self.set_rank(context, rank);
        }
    }

    /// Holds a context as soon as no handler is on its stack; true when it is held already.
    /// [`Core::start`] takes that back.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn stop(&mut self, context: ContextId) -> Result<bool, Error> {
        let index = self.contexts.index(context)?;
        let record = self.contexts.at(index);
        if record.active != 0 || index == self.running {
            record.stopping = true;
            return Ok(false);
        }
        self.suspend(context)?;
        Ok(true)
    }

    /// Lets a context go on that was stopped.
    ///
    /// # Errors
    /// As [`Core::resume`].
    pub fn start(&mut self, context: ContextId) -> Result<Outcome, Error> {
        let index = self.contexts.index(context)?;
        if core::mem::take(&mut self.contexts.at(index).stopping) {
            return Ok(Outcome::Continue);
        }
        self.resume(context)
    }

    /// The running context leaves its handler, and is to stop.
    #[cold]
    #[inline(never)]
    pub(crate) fn hold_running(&mut self) {
        let record = self.contexts.at(self.running);
        record.stopping = false;
        record.effective = HELD;
        self.contexts.account(self.running).holds += 1;
    }

    /// The running context asks for an event of its own that [wakes](crate::Attribute::Wakes) it.
    /// When that has not occurred the context is held until any of those events occurs, and is
    /// then to ask again.
    ///
    /// # Errors
    /// [`Error::Stale`]; [`Error::NotAllowed`] when the event is no such one, or another's.
    #[inline(always)]
    pub fn wait(&mut self, id: EventId) -> Result<Wait, Error> {
        let running = self.running;
        let record = self.table.live_at(id)?;
        if record.context != running || !record.gate.has(Gate::WAKES) {
            return Err(Error::NotAllowed);
        }
        // What a disabled event has pending is kept, or counted.
        if !record.gate.has(Gate::DISABLED) {
            let count = core::mem::take(&mut record.pending);
            let timed_out = record.gate.has(Gate::EXPIRED);
            record.gate.set(Gate::EXPIRED, false);
            match (count, timed_out) {
                (0, false) => {}
                (0, true) => return Ok(Wait::TimedOut),
                (count, _) => return Ok(Wait::Occurred(count)),
            }
        }
        self.flush_fast_path();
        self.contexts.at(running).effective = HELD;
        let account = self.contexts.account(running);
        account.holds += 1;
        account.waiting = true;
        self.running = NOBODY;
        Ok(Wait::Blocked(self.elect()))
    }

    /// An event of a context has occurred for which that may be waiting.
    pub(crate) fn wake(&mut self, context: u16) -> Outcome {
        let waiting = core::mem::take(&mut self.contexts.account(context).waiting);
        if waiting { self.let_go(context) } else { Outcome::Continue }
    }

    /// Gives up the handler on a context's stack, if there is one, and holds the context until
    /// [`Core::resume`]. Returns the handler if it had been unregistered; and what runs next, if
    /// the context was the running one.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn abandon(&mut self, context: ContextId) -> Result<(Option<H>, Option<Next>), Error> {
        let index = self.contexts.index(context)?;
        self.flush_fast_path();
        let record = self.contexts.at(index);
        let served = core::mem::replace(&mut record.serving, NONE);
        record.active = 0;
        record.ceiling = 0;
        // To stop is to be held as soon as no handler is on the stack, and now none is.
        let stopped = u16::from(core::mem::take(&mut record.stopping));
        let ended = core::mem::take(&mut record.ending);
        let old = core::mem::replace(&mut record.effective, HELD);
        let account = self.contexts.account(index);
        account.holds += 1 + stopped - u16::from(core::mem::take(&mut account.waiting));
        let handler = if ended { self.table.free(served) } else { None };
        if index == self.running {
            self.running = NOBODY;
            return Ok((handler, Some(self.elect())));
        }
        self.withdraw(index, old);
        Ok((handler, None))
    }

    /// When the activation was queued for which the running handler runs: of an event that is
    /// [timed](crate::Attribute::Timed).
    pub fn since(&mut self) -> Option<u64> {
        (self.running != NOBODY).then(|| self.contexts.account(self.running).since)
    }

    /// From now on the context runs no handlers: its activations are [taken](Core::dequeue), and
    /// `notify` is activated when there are some and the taker has found none before. That may be
    /// at once.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::Busy`] when it runs or has a handler on its stack.
    pub fn set_taken(
        &mut self,
        context: ContextId,
        notify: Option<EventId>,
        now: u64,
    ) -> Result<Outcome, Error> {
        let index = self.contexts.index(context)?;
        if self.contexts.at(index).active != 0 {
            return Err(Error::Busy);
        }
        if self.contexts.account(index).taken.is_none() {
            self.suspend(context)?;
        }
        self.contexts.account(index).taken = Some(Taking { notify, told: false });
        let top = self.contexts.at(index).queued;
        if top != 0 {
            self.queued_for_held(index, top, now);
        }
        Ok(self.outcome())
    }

    /// From now on another event is activated when there is something to take. As
    /// [`Core::set_taken`], for a context from which activations are taken already.
    #[inline(always)]
    pub fn set_notified(
        &mut self,
        context: ContextId,
        notify: Option<EventId>,
        now: impl FnOnce() -> u64,
    ) -> Result<Outcome, Error> {
        let index = self.contexts.index(context)?;
        let taken = self.contexts.account(index).taken.as_mut().ok_or(Error::NotAllowed)?;
        *taken = Taking { notify, told: false };
        let top = self.contexts.at(index).queued;
        if top == 0 {
            return Ok(Outcome::Continue);
        }
        self.queued_for_held(index, top, now());
        Ok(self.outcome())
    }

    /// Ends a context that is held and has neither a handler on its stack nor registrations, and
    /// begins another in its place, held too.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::Busy`]; [`Error::UsedUp`] when its place has no name left.
    pub fn renew(&mut self, context: ContextId, limits: Limits) -> Result<ContextId, Error> {
        let index = self.contexts.index(context)?;
        let record = self.contexts.at(index);
        if record.effective != HELD || record.active != 0 {
            return Err(Error::Busy);
        }
        if self.contexts.account(index).first_owned != NONE {
            return Err(Error::Busy);
        }
        let name = self.contexts.rename(index)?;
        self.contexts.renew(index, limits);
        Ok(name)
    }
}
