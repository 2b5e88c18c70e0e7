//! Which activation is next, and who runs it.

use crate::context::{Contexts, NOBODY};
use crate::preempted::Preempted;
use crate::queue::{Rank, rank};
use crate::ready::Ready;
use crate::table::{Life, NONE, Table};
use crate::{Accumulation, Activation, ContextId, Error, EventId, Priority, Registration};

/// The event system's state and its every transition, each of constant cost.
///
/// `H` is whatever stands for a handler: the kernel uses a pointer, a simulation a number. `C` is
/// what the driver of this type keeps with each context: the kernel, where its stack is. The
/// driver has one duty: after a call that says [`Outcome::Preempt`], or after [`Core::finish`], it
/// runs what [`Core::preempt`] or `finish` names.
pub struct Core<H, C = ()> {
    table: Table<H>,
    contexts: Contexts<C>,
    ready: Ready,
    preempted: Preempted,
    /// An activation that is to run next and was not queued: its context was idle and beats the
    /// running one. It lasts until [`Core::preempt`]; whatever else comes first queues it.
    express: Express,
    running: u16,
    /// Effective rank of the running context; 0 when none runs.
    current: Rank,
    /// What an activation must exceed to be the next one to run, no matter who else waits:
    /// `current`, or [`UNBEATABLE`] while a preemption is due already.
    bar: Rank,
}

/// Above every rank.
const UNBEATABLE: Rank = Rank::MAX;

struct Express {
    /// Place of the registration; [`NONE`] when there is no such activation.
    index: u32,
    context: u16,
    rank: Rank,
}

/// What an activation means for the running context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a preemption that is due must be carried out"]
pub enum Outcome {
    /// The running context goes on.
    Continue,
    /// A context of higher effective priority is ready: see [`Core::preempt`].
    Preempt,
}

/// What an activation that may start its handler at once has led to.
#[must_use = "the core counts on a start being carried out"]
pub enum AtOnce<H> {
    /// The handler is to be run now, on its context's empty stack, as if by [`Next::Start`] and
    /// [`Core::begin`].
    Start {
        /// The context that is preempted, if one was running.
        from: Option<ContextId>,
        /// The context that runs now.
        to: ContextId,
        /// Its handler.
        handler: H,
        /// What that is to be told.
        activation: Activation,
    },
    /// It was queued.
    Queued(Outcome),
}

/// Who runs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the core counts on this being run"]
pub enum Next {
    /// The context takes its first activation on an empty stack: [`Core::begin`].
    Start(ContextId),
    /// The context goes on where it was preempted.
    Resume(ContextId),
    /// Nothing is ready.
    Idle,
}

/// A handler's run is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the core counts on this being carried out"]
pub enum Finished<H> {
    /// This is who runs next.
    Next(Next),
    /// The handler was unregistered during its run and is now to be released: whatever that leads
    /// to may still call the core. Then [`Core::leave`] names who runs next.
    Release(H),
}

impl<H: Copy, C: Copy> Core<H, C> {
    /// The most contexts there can be.
    pub const MOST_CONTEXTS: usize = crate::context::MOST;

    /// An event system without room for anything yet. `machine` is a value for contexts that have
    /// not been added.
    pub const fn new(machine: C) -> Self {
        Self {
            table: Table::new(),
            contexts: Contexts::new(machine),
            ready: Ready::EMPTY,
            preempted: Preempted::EMPTY,
            express: Express { index: NONE, context: NOBODY, rank: 0 },
            running: NOBODY,
            current: 0,
            bar: 0,
        }
    }

    /// Sets the limits: at most `events` registrations, rounded up to whole chunks, and
    /// `contexts` contexts. To be called once, before anything is added.
    ///
    /// # Errors
    /// [`Error::HeapExhausted`] when there is no memory for the tables' directories.
    pub fn reserve(&mut self, events: usize, contexts: usize) -> Result<(), Error> {
        self.table.reserve(events)?;
        self.contexts.reserve(contexts)
    }

    /// Adds a context, idle.
    ///
    /// # Errors
    /// [`Error::TableFull`].
    pub fn add_context(&mut self, machine: C) -> Result<ContextId, Error> {
        self.contexts.add(machine).map(ContextId)
    }

    /// What was given with a context, which must exist.
    #[inline(always)]
    pub fn machine(&mut self, context: ContextId) -> &mut C {
        &mut self.contexts.at(context.0).machine
    }

    /// Live registrations.
    pub fn registered(&self) -> u32 {
        self.table.live()
    }

    /// The context whose handler runs now.
    #[inline(always)]
    pub fn running(&self) -> Option<ContextId> {
        (self.running != NOBODY).then_some(ContextId(self.running))
    }

    /// The registration whose handler is on the stack of `context`. Its identifier may be stale
    /// already, when the handler has unregistered it.
    pub fn serving(&mut self, context: ContextId) -> Option<EventId> {
        let index = self.contexts.get(context.0)?.serving;
        (index != NONE).then(|| self.table.name(index))
    }

    /// Registers `handler` with `context`.
    ///
    /// # Errors
    /// [`Error::Stale`] when there is no such context, [`Error::TableFull`],
    /// [`Error::HeapExhausted`].
    pub fn register(
        &mut self,
        context: ContextId,
        registration: Registration,
        handler: H,
    ) -> Result<EventId, Error> {
        self.contexts.get(context.0).ok_or(Error::Stale)?;
        let id = self.table.take()?;
        let record = self.table.at(id.index);
        record.handler = Some(handler);
        record.context = context.0;
        record.priority = registration.priority;
        record.accumulation = registration.accumulation;
        Ok(id)
    }

    /// Ends a registration; its pending occurrences are dropped. Returns the handler, unless it
    /// is on its context's stack: then [`Core::finish`] does.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn unregister(&mut self, id: EventId) -> Result<Option<H>, Error> {
        self.settle();
        let record = self.table.live_at(id)?;
        let (context, priority, pending) = (record.context, record.priority, record.pending);
        record.pending = 0;
        if pending > 0 {
            self.dequeue(id.index, context, priority);
        }
        self.table.retire(id.index);
        let runs = self.contexts.at(context).serving == id.index;
        Ok(if runs { None } else { self.table.free(id.index) })
    }

    /// Changes a registration's priority. What is pending moves to the end of the new level.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn set_priority(&mut self, id: EventId, priority: Priority) -> Result<Outcome, Error> {
        self.settle();
        let record = self.table.live_at(id)?;
        let (context, old, pending) = (record.context, record.priority, record.pending);
        record.priority = priority;
        if pending == 0 || old == priority {
            return Ok(Outcome::Continue);
        }
        self.dequeue(id.index, context, old);
        let _ = self.enqueue(id.index, context, priority);
        // What was pending may have been what kept the running context running.
        Ok(if self.preemption_due() { Outcome::Preempt } else { Outcome::Continue })
    }

    /// Records `count` occurrences of the event.
    ///
    /// # Errors
    /// [`Error::Stale`]; [`Error::Overrun`] when they do not fit the counter: none is counted.
    #[inline(always)]
    pub fn activate(&mut self, id: EventId, count: u32) -> Result<Outcome, Error> {
        let record = self.table.live_at(id)?;
        let pending = record.pending;
        record.pending = pending.checked_add(count).ok_or(Error::Overrun)?;
        if pending != 0 || count == 0 {
            return Ok(Outcome::Continue);
        }
        let (context, priority) = (record.context, record.priority);
        let rank = rank(priority);
        let record = self.contexts.at(context);
        if record.effective == 0 && rank > self.bar {
            record.effective = rank;
            self.express = Express { index: id.index, context, rank };
            self.bar = UNBEATABLE;
            return Ok(Outcome::Preempt);
        }
        self.settle();
        Ok(self.enqueue(id.index, context, priority))
    }

    /// Like [`Core::activate`], for a caller that can carry a preemption out on the spot: the
    /// handler of an idle context that beats the running one is begun without being queued.
    ///
    /// # Errors
    /// As [`Core::activate`].
    #[inline(always)]
    pub fn activate_at_once(&mut self, id: EventId, count: u32) -> Result<AtOnce<H>, Error> {
        let record = self.table.live_at(id)?;
        let (context, rank) = (record.context, rank(record.priority));
        // A registration of an idle context has nothing pending.
        let to = self.contexts.at(context);
        let single = count == 1 || (count != 0 && record.accumulation == Accumulation::Count);
        if to.effective != 0 || rank <= self.bar || !single {
            return self.activate(id, count).map(AtOnce::Queued);
        }
        let handler = record.handler.expect("a live registration has a handler");
        to.effective = rank;
        to.active = rank;
        to.serving = id.index;
        let from = self.running();
        if from.is_some() {
            self.preempted.push(&mut self.contexts, self.running, self.current);
        }
        self.running = context;
        self.set_current(rank);
        let activation = Activation { event: id, count };
        Ok(AtOnce::Start { from, to: ContextId(context), handler, activation })
    }

    /// Whether a waiting context beats the running one.
    #[inline(always)]
    pub fn preemption_due(&self) -> bool {
        self.express.index != NONE
            || self.ready.top() > self.current
            || self.preempted.top() > self.current
    }

    /// Preempts the running context if a waiting one beats it, and makes that one running.
    #[inline(always)]
    pub fn preempt(&mut self) -> Option<Next> {
        if !self.preemption_due() {
            self.bar = self.current;
            return None;
        }
        if self.running != NOBODY {
            // When another preempted one has become the better of the two, the rank order among
            // them would not hold: then this one waits among the ready.
            if self.current >= self.preempted.top() {
                self.preempted.push(&mut self.contexts, self.running, self.current);
            } else {
                self.ready.push_front(&mut self.contexts, self.running, self.current);
            }
        }
        Some(self.elect())
    }

    /// Takes the running context's next activation: its handler, and what it is to be told.
    ///
    /// # Panics
    /// When no context runs or it has nothing pending: [`Next::Start`] promises both.
    #[inline(always)]
    pub fn begin(&mut self) -> (H, Activation) {
        let mut index = self.express.index;
        if index == NONE {
            index = self.contexts.queue(self.running).pop(&mut self.table);
        } else {
            self.express.index = NONE;
            self.bar = self.current;
        }
        let context = self.contexts.at(self.running);
        let record = self.table.at(index);
        context.active = rank(record.priority);
        context.serving = index;
        let event = EventId { index, generation: record.generation };
        let handler = record.handler.expect("a queued registration has a handler");
        let mut count = record.pending;
        record.pending = 0;
        if record.accumulation == Accumulation::Each && count > 1 {
            record.pending = count - 1;
            count = 1;
            let priority = record.priority;
            self.contexts.queue(self.running).push(&mut self.table, index, priority);
        }
        (handler, Activation { event, count })
    }

    /// The running context's handler has returned.
    #[inline(always)]
    pub fn finish(&mut self) -> Finished<H> {
        let served = self.contexts.at(self.running).serving;
        if self.table.at(served).life == Life::Ending
            && let Some(handler) = self.table.free(served)
        {
            self.contexts.at(self.running).serving = NONE;
            return Finished::Release(handler);
        }
        Finished::Next(self.leave())
    }

    /// The running context has released the handler that [`Core::finish`] gave it.
    #[inline(always)]
    pub fn leave(&mut self) -> Next {
        let top = self.contexts.queue(self.running).top();
        let context = self.contexts.at(self.running);
        context.serving = NONE;
        context.active = 0;
        context.effective = top;
        if top != 0 {
            // Others of the same priority have waited longer.
            self.ready.push_back(&mut self.contexts, self.running, top);
        }
        self.elect()
    }

    /// Makes the best of the waiting contexts the running one.
    #[inline(always)]
    fn elect(&mut self) -> Next {
        // It beats all others, or it would have been queued.
        if self.express.index != NONE {
            self.running = self.express.context;
            self.current = self.express.rank;
            return Next::Start(ContextId(self.running));
        }
        let (ready, preempted) = (self.ready.top(), self.preempted.top());
        if ready > preempted {
            self.set_current(ready);
            let chosen = self.ready.pop(&mut self.contexts);
            self.running = chosen;
            return match self.contexts.at(chosen).active {
                0 => Next::Start(ContextId(chosen)),
                _ => Next::Resume(ContextId(chosen)),
            };
        }
        self.set_current(preempted);
        if preempted == 0 {
            self.running = NOBODY;
            return Next::Idle;
        }
        self.running = self.preempted.pop(&mut self.contexts);
        Next::Resume(ContextId(self.running))
    }

    /// Another rank for the running context, when there is no express activation.
    #[inline(always)]
    fn set_current(&mut self, rank: Rank) {
        self.current = rank;
        self.bar = rank;
    }

    /// Queues the express activation, since something else is to be considered beside it.
    #[inline(always)]
    fn settle(&mut self) {
        if self.express.index != NONE {
            self.queue_express();
        }
    }

    #[cold]
    fn queue_express(&mut self) {
        let Express { index, context, rank } = self.express;
        self.express.index = NONE;
        // The bar stays: this one is to be elected before any other of a lower rank.
        let priority = self.table.at(index).priority;
        self.contexts.queue(context).push(&mut self.table, index, priority);
        self.ready.push_back(&mut self.contexts, context, rank);
    }

    fn enqueue(&mut self, index: u32, context: u16, priority: Priority) -> Outcome {
        self.contexts.queue(context).push(&mut self.table, index, priority);
        let rank = rank(priority);
        if rank > self.contexts.at(context).effective {
            self.set_rank(context, rank);
        }
        if self.preemption_due() {
            self.bar = UNBEATABLE;
            return Outcome::Preempt;
        }
        Outcome::Continue
    }

    fn dequeue(&mut self, index: u32, context: u16, priority: Priority) {
        let queue = self.contexts.queue(context);
        queue.remove(&mut self.table, index, priority);
        let top = queue.top();
        let record = self.contexts.at(context);
        let rank = record.active.max(top);
        if rank != record.effective {
            self.set_rank(context, rank);
        }
    }

    /// Gives a context another effective rank, and the place among the waiting that it deserves.
    fn set_rank(&mut self, context: u16, rank: Rank) {
        let record = self.contexts.at(context);
        let old = core::mem::replace(&mut record.effective, rank);
        let preempted = record.preempted;
        if context == self.running {
            self.set_current(rank);
            if self.preemption_due() {
                self.bar = UNBEATABLE;
            }
            return;
        }
        if preempted {
            self.preempted.remove(&mut self.contexts, context);
        } else if old != 0 {
            self.ready.remove(&mut self.contexts, context, old);
        }
        if rank != 0 {
            self.ready.push_back(&mut self.contexts, context, rank);
        }
    }
}
