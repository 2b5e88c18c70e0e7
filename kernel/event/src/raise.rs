//! The running context at a ceiling, and contexts that wait for one that is: what a mutex needs.
//!
//! While a context is at a ceiling it runs at least with that priority, so that none of those that share
//! something with it begins a handler. Where one of them runs all the same, since something more urgent is pending
//! for it, and asks for what is held, it [waits](Core::wait_for) for the holder, which inherits its rank.

use crate::context::{HELD, NOBODY};
use crate::core::{Core, Next, Outcome};
use crate::queue::{Rank, rank};
use crate::table::NONE;
use crate::{ContextId, Error, Priority};

/// What a context was raised from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the context is lowered to this"]
pub struct Raised(Rank);

impl<H: Copy, C: Copy> Core<H, C> {
    /// Gives the running context's handler at least this priority, until it is [lowered](Core::lower). Calls nest.
    ///
    /// # Errors
    /// [`Error::Busy`] when no context runs; [`Error::NotAllowed`] when the priority of the handler's own
    /// registration is higher.
    pub fn raise(&mut self, ceiling: Priority) -> Result<Raised, Error> {
        let running = self.running;
        if running == NOBODY {
            return Err(Error::Busy);
        }
        let ceiling = rank(ceiling);
        if self.own_rank(running).is_some_and(|own| own > ceiling) {
            return Err(Error::NotAllowed);
        }
        let record = self.contexts.at(running);
        let before = record.ceiling;
        record.ceiling = before.max(ceiling);
        self.inherit(running, ceiling);
        Ok(Raised(before))
    }

    /// Takes back what [`Core::raise`] gave a context, also one that has been given up since. What it inherits by
    /// exclusions is to be given to it anew, by [`Core::exclude`].
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn lower(&mut self, context: ContextId, to: Raised) -> Result<Outcome, Error> {
        let index = self.contexts.index(context)?;
        self.contexts.at(index).ceiling = to.0;
        self.flush_fast_path();
        self.disinherit(index);
        Ok(self.outcome())
    }

    /// Whether the running context is at a ceiling: then its driver does not let it wait.
    pub fn is_raised(&mut self) -> bool {
        self.running != NOBODY && self.contexts.at(self.running).ceiling != 0
    }

    /// Holds the running context in the name of `holder`, which has at least its rank until it
    /// [unblocks](Core::unblock) it. Returns what runs next.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::Busy`] when no context runs, and when the holder itself is held in the
    /// running one's name, so that both would wait for ever.
    pub fn wait_for(&mut self, holder: ContextId) -> Result<Next, Error> {
        let holder = self.contexts.index(holder)?;
        let running = self.running;
        let mut at = holder;
        while at != NOBODY && at != running {
            at = self.contexts.account(at).excluded_by;
        }
        if running == NOBODY || at == running {
            return Err(Error::Busy);
        }
        self.flush_fast_path();
        let record = self.contexts.at(running);
        let pending = record.queued.max(record.active);
        record.effective = HELD;
        let account = self.contexts.account(running);
        account.holds += 1;
        account.excluded_by = holder;
        self.running = NOBODY;
        // Whichever holds the holder is waited for, too.
        let mut at = holder;
        while at != NOBODY {
            self.inherit(at, pending);
            at = self.contexts.account(at).excluded_by;
        }
        Ok(self.elect())
    }

    /// Gives a context's handler its own rank again, or that of its ceiling.
    pub(crate) fn disinherit(&mut self, context: u16) {
        let Some(own) = self.own_rank(context) else { return };
        let active = own.max(self.contexts.at(context).ceiling);
        let record = self.contexts.at(context);
        record.active = active;
        let rank = active.max(record.queued);
        if record.effective != HELD && record.effective != rank {
            self.set_rank(context, rank);
        }
    }

    /// The rank of the registration that a context's handler runs for.
    fn own_rank(&mut self, context: u16) -> Option<Rank> {
        let served = self.contexts.at(context).serving;
        (served != NONE).then(|| rank(self.table.at(served).priority))
    }
}
