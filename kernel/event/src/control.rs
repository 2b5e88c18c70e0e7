//! Registrations: made, changed, looked up, ended.

use crate::context::HELD;
use crate::core::{Core, Outcome};
use crate::gate::Gate;
use crate::queue::rank;
use crate::table::{NONE, Record};
use crate::{ContextId, DisabledPolicy, Error, EventId, Info, Priority, Registration};

/// A registration has been ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unregistered<H> {
    /// The context that had it.
    pub context: ContextId,
    /// Its handler, unless that is on its context's stack: then [`Core::finish`] gives it back.
    pub handler: Option<H>,
    /// Occurrences that its handler was not told of.
    pub dropped: u32,
    /// The priority that it had.
    pub priority: Priority,
    /// What that means for the running context, which may have had its priority from what was pending.
    pub outcome: Outcome,
}

/// What a registration is to do beside running its handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// Somebody is asked before an occurrence counts: see [`Outcome::Watched`].
    Watched,
    /// The time of its activation is kept while its handler runs: see [`Core::since`].
    Timed,
    /// Its handler is never run; it lets its context go on that waits: see [`Core::wait`].
    Wakes,
}

impl<H: Copy, C: Copy> Core<H, C> {
    /// Registers `handler` with `context`.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::LimitReached`]; [`Error::TableFull`], also when the table
    /// [needs a chunk](Core::needs_chunk) first.
    #[inline(always)]
    pub fn register(
        &mut self,
        context: ContextId,
        registration: Registration,
        handler: H,
    ) -> Result<EventId, Error> {
        let context = self.contexts.index(context)?;
        let account = self.contexts.account(context);
        if account.registered >= account.limits.registrations {
            return Err(Error::LimitReached);
        }
        let first = account.first_owned;
        let Registration { priority, accumulation } = registration;
        let id = self.table.take(Record {
            handler: Some(handler),
            context,
            priority,
            accumulation,
            next_owned: first,
            ..Record::FREE
        })?;
        account.registered += 1;
        account.first_owned = id.index;
        if first != NONE {
            self.table.at(first).previous_owned = id.index;
        }
        Ok(id)
    }

    /// Ends a registration; its pending occurrences are dropped. Its context goes on that waits
    /// for it.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline(always)]
    pub fn unregister(&mut self, id: EventId) -> Result<Unregistered<H>, Error> {
        let record = self.table.live_at(id)?;
        if record.waits() || record.gate.has(Gate::WAKES) {
            return self.unregister_noticed(id);
        }
        Ok(self.end(id.index))
    }

    /// [`Core::unregister`] of what is queued, or waited for.
    #[cold]
    #[inline(never)]
    fn unregister_noticed(&mut self, id: EventId) -> Result<Unregistered<H>, Error> {
        let dropped = self.clean(id)?;
        let record = self.table.at(id.index);
        let (context, wakes) = (record.context, record.gate.has(Gate::WAKES));
        let ended = self.end(id.index);
        if wakes {
            // The context that waits for it asks again, and finds that it has ended.
            let _ = self.wake(context);
        }
        Ok(Unregistered { dropped, outcome: self.outcome(), ..ended })
    }

    /// Ends a registration that has nothing pending.
    #[inline(always)]
    fn end(&mut self, index: u32) -> Unregistered<H> {
        let record = self.table.at(index);
        let (context, priority) = (record.context, record.priority);
        let (previous, next) = (record.previous_owned, record.next_owned);
        let record = self.contexts.at(context);
        let handler = if record.serving == index {
            record.ending = true;
            self.table.end_running(index);
            None
        } else {
            self.table.end(index)
        };
        let account = self.contexts.account(context);
        account.registered -= 1;
        match previous {
            NONE => account.first_owned = next,
            _ => self.table.at(previous).next_owned = next,
        }
        if next != NONE {
            self.table.at(next).previous_owned = previous;
        }
        let context = self.contexts.at(context).name;
        Unregistered { context, priority, handler, dropped: 0, outcome: Outcome::Continue }
    }

    /// Drops what a registration has pending; says how many occurrences that were. The running
    /// context may have had its priority from them: see [`Core::preemption_due`].
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn clean(&mut self, id: EventId) -> Result<u32, Error> {
        if self.table.live_at(id)?.waits() { Ok(self.clean_waiting(id.index)) } else { Ok(0) }
    }

    /// [`Core::clean`] of what has something pending.
    #[inline(never)]
    fn clean_waiting(&mut self, index: u32) -> u32 {
        self.flush_fast_path();
        self.set_aside(index);
        let record = self.table.at(index);
        record.gate.set(Gate::EXPIRED, false);
        core::mem::take(&mut record.pending)
    }

    /// Whether a registration has something pending: what [ends](Core::unregister) it then is as long as
    /// [`Core::clean`] and that together.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline(always)]
    pub fn waits(&mut self, id: EventId) -> Result<bool, Error> {
        Ok(self.table.live_at(id)?.waits())
    }

    /// Drops what a registration has pending, and everything that occurs from now on: what is left is to
    /// [end](Core::unregister) it. Says how many occurrences were dropped.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn silence(&mut self, id: EventId) -> Result<(u32, Outcome), Error> {
        let record = self.table.live_at(id)?;
        let pending = record.pending;
        if !record.waits() {
            record.gate.disable(DisabledPolicy::Discard);
            return Ok((0, Outcome::Continue));
        }
        Ok((pending, self.disable_waiting(id.index, DisabledPolicy::Discard)))
    }

    /// Takes back that an event did not occur in time, if its handler has not been told.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn forget_time_out(&mut self, id: EventId) -> Result<(), Error> {
        self.flush_fast_path();
        let record = self.table.live_at(id)?;
        if !record.gate.has(Gate::EXPIRED) {
            return Ok(());
        }
        if record.pending == 0 {
            self.set_aside(id.index);
        }
        self.table.at(id.index).gate.set(Gate::EXPIRED, false);
        Ok(())
    }

    /// Takes a registration out of whatever queue it is in; what is pending stays so.
    fn set_aside(&mut self, index: u32) {
        let record = self.table.at(index);
        let (context, priority) = (record.context, record.priority);
        if record.queued() {
            self.remove_from_queue(index, context, priority);
        } else if record.gate.has(Gate::PARKED) {
            self.remove_parked(index, context);
        }
    }

    /// Changes a registration's priority. What is pending moves to the end of the new level.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn set_priority(&mut self, id: EventId, priority: Priority) -> Result<Outcome, Error> {
        self.flush_fast_path();
        let record = self.table.live_at(id)?;
        let (context, old, queued) = (record.context, record.priority, record.queued());
        record.priority = priority;
        if !queued || old == priority {
            return Ok(Outcome::Continue);
        }
        // It keeps its room: nothing that waits for some comes in between.
        self.contexts.remove(context, &mut self.table, id.index, old);
        self.contexts.push(context, &mut self.table, id.index, priority);
        self.rank_anew(context);
        let stamp = self.table.at(id.index).stamp;
        if self.contexts.at(context).effective == HELD {
            self.queued_for_held(context, rank(priority), stamp);
        }
        // What was pending may have been what kept the running context running.
        Ok(self.outcome())
    }

    /// Disables a registration: its handler is not run until it is enabled again. Disabling it
    /// once more changes what becomes of occurrences.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn disable(&mut self, id: EventId, meanwhile: DisabledPolicy) -> Result<Outcome, Error> {
        let record = self.table.live_at(id)?;
        if record.waits() {
            return Ok(self.disable_waiting(id.index, meanwhile));
        }
        record.gate.disable(meanwhile);
        Ok(Outcome::Continue)
    }

    /// [`Core::disable`] of what has something pending.
    #[cold]
    #[inline(never)]
    fn disable_waiting(&mut self, index: u32, meanwhile: DisabledPolicy) -> Outcome {
        self.flush_fast_path();
        self.set_aside(index);
        let record = self.table.at(index);
        record.gate.set(Gate::EXPIRED, false);
        record.gate.disable(meanwhile);
        if meanwhile == DisabledPolicy::Discard {
            record.pending = 0;
        }
        self.outcome()
    }

    /// Enables a registration. Returns how many occurrences were counted meanwhile and are not
    /// delivered.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn enable(
        &mut self,
        id: EventId,
        now: impl FnOnce() -> u64,
    ) -> Result<(u32, Outcome), Error> {
        let record = self.table.live_at(id)?;
        if record.pending != 0 {
            return Ok(self.enable_waiting(id.index, now()));
        }
        record.gate.set(Gate::DISABLED, false);
        Ok((0, Outcome::Continue))
    }

    /// [`Core::enable`] of what has something pending.
    #[cold]
    #[inline(never)]
    fn enable_waiting(&mut self, index: u32, now: u64) -> (u32, Outcome) {
        let record = self.table.at(index);
        let gate = record.gate;
        record.gate.set(Gate::DISABLED, false);
        if !gate.has(Gate::DISABLED) {
            (0, Outcome::Continue)
        } else if gate.has(Gate::COUNTING) {
            (core::mem::take(&mut record.pending), Outcome::Continue)
        } else {
            (0, self.occurred(index, now))
        }
    }

    /// Gives a registration a trait, or takes it away.
    ///
    /// # Errors
    /// [`Error::Stale`]; [`Error::Busy`] when one that has occurrences pending is to begin or cease
    /// to wake, or the context waits that it would cease to wake.
    pub fn set_attribute(&mut self, id: EventId, which: Attribute, on: bool) -> Result<(), Error> {
        let record = self.table.live_at(id)?;
        let gate = match which {
            Attribute::Watched => Gate::WATCHED,
            Attribute::Timed => Gate::TIMED,
            Attribute::Wakes => {
                let told = record.pending != 0 || record.gate.has(Gate::EXPIRED);
                let waits = self.contexts.account(record.context).waiting;
                if record.gate.has(Gate::WAKES) != on && (told || waits) {
                    return Err(Error::Busy);
                }
                Gate::WAKES
            }
        };
        record.gate.set(gate, on);
        Ok(())
    }

    /// Looks a registration up.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn look_up(&mut self, id: EventId) -> Result<Info, Error> {
        let record = self.table.live_at(id)?;
        let gate = record.gate;
        let disabled = if !gate.has(Gate::DISABLED) {
            None
        } else if gate.has(Gate::KEEPING) {
            Some(DisabledPolicy::Keep)
        } else if gate.has(Gate::COUNTING) {
            Some(DisabledPolicy::Count)
        } else {
            Some(DisabledPolicy::Discard)
        };
        let context = record.context;
        let mut info = Info {
            context: self.contexts.at(context).name,
            registration: Registration {
                priority: record.priority,
                accumulation: record.accumulation,
            },
            disabled,
            pending: record.pending,
            runs: false,
        };
        info.runs = self.contexts.at(context).serving == id.index;
        Ok(info)
    }

    /// The context that has a registration.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn context_of(&mut self, id: EventId) -> Result<ContextId, Error> {
        let context = self.table.live_at(id)?.context;
        Ok(self.contexts.name(context))
    }

    /// A registration's handler.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn handler(&mut self, id: EventId) -> Result<H, Error> {
        Ok(self.table.live_at(id)?.handler.expect("a live registration has a handler"))
    }

    /// Whether a registration is a context's.
    ///
    /// # Errors
    /// [`Error::NoContext`], [`Error::Stale`]; [`Error::Foreign`] when it is another's.
    pub fn owns(&mut self, context: ContextId, id: EventId) -> Result<(), Error> {
        let index = self.contexts.index(context)?;
        if self.table.live_at(id)?.context == index { Ok(()) } else { Err(Error::Foreign) }
    }

    /// Gives a registration of a context another handler, and returns the one it had. What is
    /// pending is for the new one.
    ///
    /// # Errors
    /// As [`owns`](Self::owns); [`Error::Busy`] when the handler is on its context's stack.
    pub fn rebind(&mut self, context: ContextId, id: EventId, handler: H) -> Result<H, Error> {
        self.owns(context, id)?;
        if self.contexts.at(context.index).serving == id.index {
            return Err(Error::Busy);
        }
        let old = self.table.at(id.index).handler.replace(handler);
        Ok(old.expect("a live registration has a handler"))
    }

    /// The registration of a context that was made last.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn first_of(&mut self, context: ContextId) -> Result<Option<EventId>, Error> {
        let context = self.contexts.index(context)?;
        let first = self.contexts.account(context).first_owned;
        Ok((first != NONE).then(|| self.table.name(first)))
    }

    /// The registration of the same context that was made before `id`.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn next_of(&mut self, id: EventId) -> Result<Option<EventId>, Error> {
        let next = self.table.live_at(id)?.next_owned;
        Ok((next != NONE).then(|| self.table.name(next)))
    }

    /// From now on the registration tells its context of trouble, past every limit. `None` stops
    /// that.
    ///
    /// # Errors
    /// As [`owns`](Self::owns); [`Error::Busy`] when what it has pending waits for room already.
    pub fn set_notice(&mut self, context: ContextId, id: Option<EventId>) -> Result<(), Error> {
        let index = self.contexts.index(context)?;
        if let Some(id) = id {
            self.owns(context, id)?;
            let record = self.table.at(id.index);
            if record.gate.has(Gate::PARKED) {
                return Err(Error::Busy);
            }
            record.gate.set(Gate::NOTICE, true);
        }
        let old = core::mem::replace(&mut self.contexts.account(index).notice.event, id);
        if let Some(record) =
            old.filter(|old| Some(*old) != id).and_then(|old| self.table.live_at(old).ok())
        {
            record.gate.set(Gate::NOTICE, false);
        }
        Ok(())
    }
}
