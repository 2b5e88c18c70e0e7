//! Occurrences: from a source to the queue of the context that has the handler.

use crate::context::NOBODY;
use crate::core::{Core, FastPath, Outcome, UNBEATABLE};
use crate::gate::Gate;
use crate::queue::{Rank, rank};
use crate::table::NONE;
use crate::{
    Accumulation, Activation, ContextId, ContextIndex, Error, EventId, OverflowPolicy, Trouble,
    Troubles,
};

/// A handler that is to be run now, on its context's empty stack, as if by
/// [`Next::Start`](crate::Next::Start) and [`Core::begin`].
#[must_use = "the core counts on a start being carried out"]
pub struct Start<H> {
    /// The context that is preempted, if one was running.
    pub from: Option<ContextId>,
    /// The context that runs now.
    pub to: ContextId,
    /// Its handler.
    pub handler: H,
    /// What that is to be told.
    pub activation: Activation,
}

/// A context that waited goes on now, as if by [`Next::Resume`](crate::Next::Resume).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the core counts on a start being carried out"]
pub struct Resume {
    /// The context that is preempted, if one was running.
    pub from: Option<ContextId>,
    /// The context that runs now.
    pub to: ContextIndex,
}

impl<H: Copy, C: Copy> Core<H, C> {
    /// Records `count` occurrences of the event.
    ///
    /// # Errors
    /// [`Error::Stale`]; [`Error::Overrun`] when they do not fit the counter: none is counted.
    #[inline(always)]
    pub fn activate(
        &mut self,
        id: EventId,
        count: u32,
        now: impl FnOnce() -> u64,
    ) -> Result<Outcome, Error> {
        let record = self.table.live_at(id)?;
        if !record.gate.is_open() {
            let gate = record.gate;
            return self.activate_gated(id, count, gate, now);
        }
        let pending = record.pending;
        record.pending = pending.checked_add(count).ok_or(Error::Overrun)?;
        if pending != 0 || count == 0 {
            return Ok(Outcome::Continue);
        }
        record.stamp = now();
        let (context, priority) = (record.context, record.priority);
        let rank = rank(priority);
        let record = self.contexts.at(context);
        if record.effective == 0 && rank > self.bar {
            record.effective = rank;
            self.fast_path = FastPath { index: id.index, context, rank };
            self.bar = UNBEATABLE;
            return Ok(Outcome::Preempt);
        }
        self.flush_fast_path();
        Ok(self.enqueue(id.index, context, priority))
    }

    /// Begins the handler of a plain event on the spot, for a caller that can carry that out: if
    /// its context is idle and beats the running one. Else nothing has happened, and the
    /// occurrences are to be [recorded](Core::activate).
    #[inline(always)]
    pub fn start_at_once(&mut self, id: EventId, count: u32) -> Option<Start<H>> {
        self.start_above(self.bar, id, count)
    }

    /// [`Core::start_at_once`] in the name of a running context that yields: its equal is begun, too, if no
    /// other of that rank is ready.
    #[inline(always)]
    pub fn start_yielding(&mut self, id: EventId, count: u32) -> Option<Start<H>> {
        if self.bar == UNBEATABLE {
            return None;
        }
        // The caller is the running context: it is of rank 1 at least.
        self.start_above(self.ready.top().max(self.bar.wrapping_sub(1)), id, count)
    }

    /// Begins a handler of a rank above `bar`: see [`Core::start_at_once`].
    #[inline(always)]
    fn start_above(&mut self, bar: Rank, id: EventId, count: u32) -> Option<Start<H>> {
        let record = self.table.live_at(id).ok()?;
        let (context, priority) = (record.context, record.priority);
        let rank = rank(priority);
        // A plain registration of an idle context has nothing pending.
        let to = self.contexts.at(context);
        if to.effective != 0 || rank <= bar || !record.gate.is_open() {
            return None;
        }
        if count != 1 && (count == 0 || record.accumulation == Accumulation::Each) {
            return None;
        }
        let handler = record.handler?;
        to.effective = rank;
        to.active = rank;
        to.serving = id.index;
        self.latencies.at_once(priority);
        let from = self.running();
        if from.is_some() {
            self.preempted.push(&mut self.contexts, self.running, self.current);
        }
        self.running = context;
        self.set_current(rank);
        let to = self.contexts.name(context);
        Some(Start { from, to, handler, activation: Activation { event: id, count } })
    }

    /// Lets a context go on, on the spot, that [waits](Core::wait) for a plain event, for a caller that
    /// can carry that out: if nothing else holds it and it beats the running one. Else nothing has
    /// happened, and the occurrences are to be [recorded](Core::activate).
    #[inline(always)]
    pub fn resume_at_once(&mut self, id: EventId, count: u32) -> Option<Resume> {
        let record = self.table.live_at(id).ok()?;
        let context = record.context;
        if record.gate != Gate::WAKES || record.pending != 0 || count == 0 {
            return None;
        }
        let to = self.contexts.at(context);
        let rank = to.queued.max(to.active);
        if rank <= self.bar {
            return None;
        }
        let account = self.contexts.account(context);
        if !account.waiting || account.holds != 1 {
            return None;
        }
        (account.waiting, account.holds) = (false, 0);
        record.pending = count;
        self.contexts.at(context).effective = rank;
        let from = self.running();
        if from.is_some() {
            self.preempted.push(&mut self.contexts, self.running, self.current);
        }
        self.running = context;
        self.set_current(rank);
        Some(Resume { from, to: ContextIndex { index: context } })
    }

    /// An occurrence of a registration that is not plain, as its gate says.
    #[cold]
    #[inline(never)]
    fn activate_gated(
        &mut self,
        id: EventId,
        count: u32,
        gate: Gate,
        now: impl FnOnce() -> u64,
    ) -> Result<Outcome, Error> {
        if gate.asks() && count != 0 {
            return Ok(Outcome::Watched);
        }
        self.accept(id, count, now())
    }

    /// Records `count` occurrences of a watched event after its watcher has let them pass.
    ///
    /// # Errors
    /// As [`Core::activate`].
    pub fn accept(&mut self, id: EventId, count: u32, now: u64) -> Result<Outcome, Error> {
        let record = self.table.live_at(id)?;
        if record.gate.has(Gate::DISCARDING) || count == 0 {
            return Ok(Outcome::Continue);
        }
        let waited = record.pending != 0 || record.gate.has(Gate::EXPIRED);
        record.pending = record.pending.checked_add(count).ok_or(Error::Overrun)?;
        Ok(if waited { Outcome::Continue } else { self.occurred(id.index, now) })
    }

    /// The time in which the event was to occur is over: its handler is told so, unless it has
    /// occurrences to be told of.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn time_out(&mut self, id: EventId, now: u64) -> Result<Outcome, Error> {
        let record = self.table.live_at(id)?;
        if record.pending != 0 || record.gate.has(Gate::EXPIRED) || record.gate.has(Gate::DISABLED)
        {
            return Ok(Outcome::Continue);
        }
        record.gate.set(Gate::EXPIRED, true);
        Ok(self.occurred(id.index, now))
    }

    /// A registration that had nothing pending has.
    pub(crate) fn occurred(&mut self, index: u32, now: u64) -> Outcome {
        self.flush_fast_path();
        let record = self.table.at(index);
        record.stamp = now;
        let (context, priority, gate) = (record.context, record.priority, record.gate);
        if gate.has(Gate::DISABLED) {
            Outcome::Continue
        } else if gate.has(Gate::WAKES) {
            self.wake(context)
        } else {
            self.enqueue(index, context, priority)
        }
    }

    /// Tells a context of trouble, if it has named a registration to be told by.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn report(
        &mut self,
        context: ContextId,
        trouble: Trouble,
        now: u64,
    ) -> Result<Outcome, Error> {
        let context = self.contexts.index(context)?;
        Ok(self.tell(context, trouble, now))
    }

    fn tell(&mut self, context: u16, trouble: Trouble, now: u64) -> Outcome {
        let notice = &mut self.contexts.account(context).notice;
        notice.troubles.add(trouble);
        let told = notice.event.and_then(|event| self.accept(event, 1, now).ok());
        told.unwrap_or(Outcome::Continue)
    }

    /// What trouble a context has had since this was last asked.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn take_troubles(&mut self, context: ContextId) -> Result<Troubles, Error> {
        let context = self.contexts.index(context)?;
        let notice = &mut self.contexts.account(context).notice;
        Ok(core::mem::replace(&mut notice.troubles, Troubles::NONE))
    }

    /// How many occurrences a context has shed because of its limit.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn shed(&mut self, context: ContextId) -> Result<u64, Error> {
        let context = self.contexts.index(context)?;
        Ok(self.contexts.account(context).shed)
    }

    /// There is no room for another activation in the context's queue. True when this one may go
    /// there all the same; else it has been dealt with.
    #[cold]
    #[inline(never)]
    pub(crate) fn may_exceed(&mut self, index: u32, context: u16) -> bool {
        if self.table.at(index).gate.has(Gate::NOTICE) {
            return true;
        }
        self.contexts.at(context).room += 1;
        let account = self.contexts.account(context);
        let record = self.table.at(index);
        let stamp = record.stamp;
        match account.limits.overload {
            OverflowPolicy::Shed => {
                account.shed += u64::from(record.pending);
                record.pending = 0;
                record.gate.set(Gate::EXPIRED, false);
            }
            OverflowPolicy::Wait => {
                record.gate.set(Gate::PARKED, true);
                record.next = NONE;
                record.previous = NONE;
                let last = core::mem::replace(&mut account.last_parked, index);
                let first = &mut self.contexts.at(context).parked;
                if *first == NONE {
                    *first = index;
                } else {
                    record.previous = last;
                    self.table.at(last).next = index;
                }
            }
        }
        let _ = self.tell(context, Trouble::LimitReached, stamp);
        false
    }

    /// Lets the first of those that wait for room into the queue, if there is room.
    #[cold]
    #[inline(never)]
    pub(crate) fn unpark(&mut self, context: u16) {
        let record = self.contexts.at(context);
        if record.room <= 0 {
            return;
        }
        let index = record.parked;
        self.remove_parked(index, context);
        let priority = self.table.at(index).priority;
        let _ = self.enqueue(index, context, priority);
    }

    /// Takes a registration out of those that wait for room.
    pub(crate) fn remove_parked(&mut self, index: u32, context: u16) {
        let record = self.table.at(index);
        record.gate.set(Gate::PARKED, false);
        let (previous, next) = (record.previous, record.next);
        match previous {
            NONE => self.contexts.at(context).parked = next,
            _ => self.table.at(previous).next = next,
        }
        match next {
            NONE => self.contexts.account(context).last_parked = previous,
            _ => self.table.at(next).previous = previous,
        }
    }

    /// Something has been queued for a context that is held. The context that excludes it inherits
    /// its priority; the taker of its activations is told, once until it has found none left.
    #[cold]
    #[inline(never)]
    pub(crate) fn queued_for_held(&mut self, context: u16, rank: Rank, now: u64) {
        let account = self.contexts.account(context);
        let by = account.excluded_by;
        let told = account.taken.as_mut().map(|taken| core::mem::replace(&mut taken.told, true));
        if by != NOBODY {
            self.inherit(by, rank);
        }
        if told == Some(false)
            && let Some(event) = self.contexts.account(context).taken.and_then(|taken| taken.notify)
        {
            // Nobody registered any more is nobody to be told; and nobody is asked whether to tell.
            let _ = self.accept(event, 1, now);
        }
    }

    /// Queues the activation on the fast path, since something else is to be considered beside it.
    #[inline(always)]
    pub(crate) fn flush_fast_path(&mut self) {
        if self.fast_path.index != NONE {
            self.queue_fast_path();
        }
    }

    #[cold]
    fn queue_fast_path(&mut self) {
        let FastPath { index, context, rank } = self.fast_path;
        self.fast_path.index = NONE;
        // The bar stays: this one is to be elected before any other of a lower rank. Its context
        // is idle, so there is room.
        let priority = self.table.at(index).priority;
        self.contexts.push(context, &mut self.table, index, priority);
        self.contexts.at(context).room -= 1;
        self.ready.push_back(&mut self.contexts, context, rank);
    }
}
