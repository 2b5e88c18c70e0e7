//! Which activation is next, and who runs it.

use crate::context::{Contexts, NOBODY};
use crate::queue::{Rank, rank};
use crate::ready::Ready;
use crate::table::{Life, NONE, Table};
use crate::{Accumulation, Activation, ContextId, Error, EventId, Priority, Registration};

/// The event system's state and its every transition, each of constant cost.
///
/// `H` is whatever stands for a handler: the kernel uses a pointer, a simulation a number. The
/// driver of this type has one duty: after a call that says [`Outcome::Preempt`], or after
/// [`Core::finish`], it runs what [`Core::preempt`] or `finish` names.
pub struct Core<H> {
    table: Table<H>,
    contexts: Contexts,
    ready: Ready,
    running: u16,
    /// Effective rank of the running context; 0 when none runs.
    current: Rank,
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
#[must_use = "the core counts on `next` being run"]
pub struct Finished<H> {
    /// A handler that was unregistered during its run, now to be released.
    pub released: Option<H>,
    /// Who runs next.
    pub next: Next,
}

impl<H: Copy> Default for Core<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Copy> Core<H> {
    /// An event system without room for anything yet.
    pub const fn new() -> Self {
        Self {
            table: Table::new(),
            contexts: Contexts::new(),
            ready: Ready::EMPTY,
            running: NOBODY,
            current: 0,
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
    pub fn add_context(&mut self) -> Result<ContextId, Error> {
        self.contexts.add().map(ContextId)
    }

    /// Live registrations.
    pub fn registered(&self) -> u32 {
        self.table.live()
    }

    /// The context whose handler runs now.
    pub fn running(&self) -> Option<ContextId> {
        (self.running != NOBODY).then_some(ContextId(self.running))
    }

    /// The registration whose handler is on the stack of `context`. Its identifier may be stale
    /// already, when the handler has unregistered it.
    pub fn serving(&mut self, context: ContextId) -> Option<EventId> {
        if usize::from(context.0) >= self.contexts.len() {
            return None;
        }
        let index = self.contexts.at(context.0).serving;
        (index != NONE).then(|| EventId { index, generation: self.table.at(index).generation })
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
        if usize::from(context.0) >= self.contexts.len() {
            return Err(Error::Stale);
        }
        let id = self.table.take()?;
        let record = self.table.at(id.index);
        record.handler = Some(handler);
        record.context = context.0;
        record.priority = registration.priority;
        record.accumulation = registration.accumulation;
        Ok(id)
    }

    /// Ends a registration; its pending occurrences are dropped. Returns the handler, unless it
    /// runs now: then [`Core::finish`] does.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn unregister(&mut self, id: EventId) -> Result<Option<H>, Error> {
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
        let record = self.table.live_at(id)?;
        let (context, old, pending) = (record.context, record.priority, record.pending);
        record.priority = priority;
        if pending == 0 || old == priority {
            return Ok(Outcome::Continue);
        }
        self.dequeue(id.index, context, old);
        Ok(self.enqueue(id.index, context, priority))
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
        Ok(self.enqueue(id.index, context, priority))
    }

    /// Whether a ready context beats the running one.
    #[inline(always)]
    pub fn preemption_due(&self) -> bool {
        self.ready.top() > self.current
    }

    /// Preempts the running context if a ready one beats it, and makes that one running.
    #[inline(always)]
    pub fn preempt(&mut self) -> Option<Next> {
        if !self.preemption_due() {
            return None;
        }
        if self.running != NOBODY {
            self.ready.push_front(&mut self.contexts, self.running, self.current);
        }
        Some(self.elect())
    }

    /// Takes the running context's next activation: its handler, and what it is to be told.
    ///
    /// # Panics
    /// When no context runs or it has nothing pending: [`Next::Start`] promises both.
    #[inline(always)]
    pub fn begin(&mut self) -> (H, Activation) {
        let context = self.contexts.at(self.running);
        let index = context.queue.pop(&mut self.table);
        let record = self.table.at(index);
        let active = rank(record.priority);
        let event = EventId { index, generation: record.generation };
        let handler = record.handler.expect("a queued registration has a handler");
        let pending = record.pending;
        let count = match record.accumulation {
            Accumulation::Count => pending,
            Accumulation::Each => 1,
        };
        record.pending = pending - count;
        context.active = active;
        context.serving = index;
        if pending != count {
            let priority = record.priority;
            context.queue.push(&mut self.table, index, priority);
        }
        (handler, Activation { event, count })
    }

    /// The running context's handler has returned.
    #[inline(always)]
    pub fn finish(&mut self) -> Finished<H> {
        let context = self.contexts.at(self.running);
        let served = context.serving;
        context.serving = NONE;
        context.active = 0;
        let top = context.queue.top();
        context.effective = top;
        let released =
            if self.table.at(served).life == Life::Ending { self.table.free(served) } else { None };
        let next = if top > self.ready.top() {
            self.current = top;
            Next::Start(ContextId(self.running))
        } else {
            if top != 0 {
                // Others of the same priority have waited longer.
                self.ready.push_back(&mut self.contexts, self.running, top);
            }
            self.elect()
        };
        Finished { released, next }
    }

    /// Makes the first of the highest ready contexts the running one.
    #[inline(always)]
    fn elect(&mut self) -> Next {
        let top = self.ready.top();
        self.current = top;
        if top == 0 {
            self.running = NOBODY;
            return Next::Idle;
        }
        let chosen = self.ready.pop(&mut self.contexts);
        self.running = chosen;
        if self.contexts.at(chosen).active == 0 {
            Next::Start(ContextId(chosen))
        } else {
            Next::Resume(ContextId(chosen))
        }
    }

    #[inline(always)]
    fn enqueue(&mut self, index: u32, context: u16, priority: Priority) -> Outcome {
        let record = self.contexts.at(context);
        record.queue.push(&mut self.table, index, priority);
        let rank = rank(priority);
        let old = record.effective;
        if rank <= old {
            return Outcome::Continue;
        }
        record.effective = rank;
        if context == self.running {
            self.current = rank;
            return Outcome::Continue;
        }
        if old != 0 {
            self.ready.remove(&mut self.contexts, context, old);
        }
        self.ready.push_back(&mut self.contexts, context, rank);
        if rank > self.current { Outcome::Preempt } else { Outcome::Continue }
    }

    fn dequeue(&mut self, index: u32, context: u16, priority: Priority) {
        let record = self.contexts.at(context);
        record.queue.remove(&mut self.table, index, priority);
        let old = record.effective;
        let rank = record.active.max(record.queue.top());
        if rank == old {
            return;
        }
        record.effective = rank;
        if context == self.running {
            // A preemption this makes due is found by whoever leaves the section.
            self.current = rank;
            return;
        }
        self.ready.remove(&mut self.contexts, context, old);
        if rank != 0 {
            self.ready.push_back(&mut self.contexts, context, rank);
        }
    }
}
