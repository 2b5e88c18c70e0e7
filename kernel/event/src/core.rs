//! Which context runs: the event system's state, and the dispatch decision.
//!
//! What changes the state from outside is in `activate` (occurrences), `control` (registrations)
//! and `hold` (contexts that do not compete).

use crate::context::{Contexts, HELD, NOBODY};
use crate::gate::Gate;
use crate::latency::{Latencies, Latency};
use crate::preempted::Preempted;
use crate::queue::{Rank, rank};
use crate::ready::Ready;
use crate::table::{Chunk, NONE, Table};
use crate::{Accumulation, Activation, ContextId, ContextIndex, Error, EventId, Limits, Priority};

/// The event system's state and its every transition, each of constant cost.
///
/// `H` is whatever stands for a handler: the kernel uses a pointer, a simulation a number. `C` is
/// what the driver of this type keeps with each context: the kernel, where its stack is. The
/// driver has one duty: after a call that says [`Outcome::Preempt`], or one that returns a
/// [`Next`], it runs what [`Core::preempt`] or that names. After one that takes something
/// back and says neither ([`Core::clean`], [`Core::unregister`], [`Core::forget_time_out`],
/// [`Core::dequeue`]) it asks [`Core::preemption_due`].
///
/// Points in time are in whatever unit the driver counts; they are asked for only where needed.
#[repr(C)]
pub struct Core<H: 'static, C = ()> {
    /// First, as [`Contexts`] says.
    pub(crate) contexts: Contexts<C>,
    pub(crate) table: Table<H>,
    pub(crate) ready: Ready,
    pub(crate) preempted: Preempted,
    /// An activation that is to run next and was not queued: its context was idle and beats the
    /// running one. It lasts until [`Core::preempt`]; whatever else comes first queues it.
    pub(crate) fast_path: FastPath,
    pub(crate) running: u16,
    /// Effective rank of the running context; 0 when none runs.
    pub(crate) current: Rank,
    /// What an activation must exceed to be the next one to run, no matter which others wait:
    /// `current`, or [`UNBEATABLE`] while a preemption is due already.
    pub(crate) bar: Rank,
    pub(crate) latencies: Latencies,
}

/// Above every rank.
pub(crate) const UNBEATABLE: Rank = Rank::MAX;

pub(crate) struct FastPath {
    /// Place of the registration; [`NONE`] when there is no such activation.
    pub(crate) index: u32,
    pub(crate) context: u16,
    pub(crate) rank: Rank,
}

/// What an activation means for the running context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a preemption that is due must be carried out"]
pub enum Outcome {
    /// The running context goes on.
    Continue,
    /// A context of higher effective priority is ready: see [`Core::preempt`].
    Preempt,
    /// Nothing has been counted yet: the event's watcher is to be asked first, and then
    /// [`Core::accept`] called, or not.
    Watched,
}

/// What runs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the core counts on this being run"]
pub enum Next {
    /// The context takes its first activation on an empty stack: [`Core::begin`].
    Start(ContextIndex),
    /// The context goes on where it was preempted.
    Resume(ContextIndex),
    /// Nothing is ready.
    Idle,
}

/// A handler's run is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the core counts on this being carried out"]
pub enum Finished<H> {
    /// This runs next.
    Next(Next),
    /// The handler was unregistered during its run and is now to be released: whatever that leads
    /// to may still call the core. Then [`Core::leave`] names what runs next.
    Release(H),
}

impl<H: Copy, C: Copy> Core<H, C> {
    /// The most contexts there can be.
    pub const MOST_CONTEXTS: usize = crate::context::MOST;

    /// An event system without room for anything yet. `machine` is a value for contexts that have
    /// not been added.
    pub const fn new(machine: C) -> Self {
        Self::on(0, machine)
    }

    /// [`new`](Self::new), of a core: its names say that they are of that.
    pub const fn on(core: u32, machine: C) -> Self {
        assert!(core < crate::id::MOST_CORES, "names have no room for the core's number");
        Self {
            contexts: Contexts::new(core, machine),
            table: Table::new(),
            ready: Ready::EMPTY,
            preempted: Preempted::EMPTY,
            fast_path: FastPath { index: NONE, context: NOBODY, rank: 0 },
            running: NOBODY,
            current: 0,
            bar: 0,
            latencies: Latencies::NONE,
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

    /// Whether a registration needs a chunk first; see [`Core::supply`].
    ///
    /// # Errors
    /// [`Error::TableFull`] when there is room for neither.
    pub fn needs_chunk(&self) -> Result<bool, Error> {
        self.table.needs_chunk()
    }

    /// Gives the table memory for more registrations; gives it back when the table has all it
    /// may have.
    pub fn supply(&mut self, chunk: &'static mut Chunk<H>) -> Option<&'static mut Chunk<H>> {
        self.table.supply(chunk)
    }

    /// Adds a context, idle.
    ///
    /// # Errors
    /// [`Error::TooManyContexts`].
    pub fn add_context(&mut self, machine: C, limits: Limits) -> Result<ContextId, Error> {
        self.contexts.add(machine, limits)
    }

    /// What was given with a context, which must exist.
    #[inline(always)]
    pub fn machine(&mut self, context: impl Into<ContextIndex>) -> &mut C {
        &mut self.contexts.at(context.into().index).machine
    }

    /// The name of the context at a place.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn context_at(&self, index: u16) -> Result<ContextId, Error> {
        self.contexts.named(index)
    }

    /// Whether there is a context of that name.
    #[inline(always)]
    pub fn exists(&self, context: ContextId) -> bool {
        self.contexts.exists(context)
    }

    /// Live registrations.
    pub fn registered(&self) -> u32 {
        self.table.live()
    }

    /// How long activations of a priority have waited.
    pub fn latency(&self, priority: Priority) -> Latency {
        self.latencies.of(priority)
    }

    /// The context that has a handler running now.
    #[inline(always)]
    pub fn running(&self) -> Option<ContextId> {
        (self.running != NOBODY).then(|| self.contexts.name(self.running))
    }

    /// The registration that has its handler on the stack of `context`. Its identifier may be stale
    /// already, when the handler has unregistered it.
    pub fn serving(&mut self, context: ContextId) -> Option<EventId> {
        let context = self.contexts.index(context).ok()?;
        let index = self.contexts.at(context).serving;
        (index != NONE).then(|| self.table.name(index))
    }

    /// Whether a waiting context beats the running one.
    #[inline(always)]
    pub fn preemption_due(&self) -> bool {
        self.fast_path.index != NONE
            || self.ready.top() > self.current
            || self.preempted.top() > self.current
    }

    /// What [`Core::preemption_due`] says, for the caller to carry out.
    pub(crate) fn outcome(&mut self) -> Outcome {
        if self.preemption_due() {
            self.bar = UNBEATABLE;
            return Outcome::Preempt;
        }
        Outcome::Continue
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
    pub fn begin(&mut self, now: impl FnOnce() -> u64) -> (H, Activation) {
        let mut index = self.fast_path.index;
        if index == NONE {
            index = self.pop(self.running);
        } else {
            self.fast_path.index = NONE;
            self.bar = self.current;
        }
        let record = self.table.at(index);
        let handler = record.handler.expect("a queued registration has a handler");
        let context = self.contexts.at(self.running);
        context.active = rank(record.priority);
        context.serving = index;
        self.latencies.waited(record.priority, now().wrapping_sub(record.stamp));
        if !record.gate.is_open() {
            self.contexts.account(self.running).since = record.stamp;
            record.gate.set(Gate::EXPIRED, false);
        }
        (handler, self.told(index))
    }

    /// Takes the first activation out of a context's queue, which must not be empty.
    #[inline(always)]
    fn pop(&mut self, context: u16) -> u32 {
        let index = self.contexts.pop(context, &mut self.table);
        let record = self.contexts.at(context);
        record.room += 1;
        if record.parked != NONE {
            self.unpark(context);
        }
        index
    }

    /// Takes what is pending of a registration that is not in its queue: all, or one.
    #[inline(always)]
    fn told(&mut self, index: u32) -> Activation {
        let record = self.table.at(index);
        let event = EventId { index, generation: record.generation };
        let mut count = record.pending;
        record.pending = 0;
        if record.accumulation == Accumulation::Each && count > 1 {
            record.pending = count - 1;
            count = 1;
            let (context, priority) = (record.context, record.priority);
            let _ = self.enqueue(index, context, priority);
        }
        Activation { event, count }
    }

    /// Takes the next activation of a context that runs no handlers: see
    /// [`Core::set_taken`]. What comes after it may have its priority inherited by a context that
    /// excludes this one: see [`Core::preemption_due`].
    ///
    /// # Errors
    /// [`Error::NoContext`], and [`Error::NotAllowed`] when its handlers are run.
    pub fn dequeue(&mut self, context: ContextId) -> Result<Option<Activation>, Error> {
        let context = self.contexts.index(context)?;
        let some = self.contexts.at(context).queued != 0;
        let taken = self.contexts.account(context).taken.as_mut().ok_or(Error::NotAllowed)?;
        taken.told = some;
        if !some {
            return Ok(None);
        }
        let index = self.pop(context);
        self.table.at(index).gate.set(Gate::EXPIRED, false);
        Ok(Some(self.told(index)))
    }

    /// The running context's handler has returned.
    #[inline(always)]
    pub fn finish(&mut self) -> Finished<H> {
        let context = self.contexts.at(self.running);
        if context.ending {
            context.ending = false;
            let served = core::mem::replace(&mut context.serving, NONE);
            if let Some(handler) = self.table.free(served) {
                return Finished::Release(handler);
            }
        }
        Finished::Next(self.leave())
    }

    /// The running context has released the handler that [`Core::finish`] gave it.
    #[inline(always)]
    pub fn leave(&mut self) -> Next {
        let context = self.contexts.at(self.running);
        let top = context.queued;
        context.serving = NONE;
        context.active = 0;
        context.effective = top;
        if context.stopping {
            self.hold_running();
        } else if top != 0 {
            let others = self.ready.top().max(self.preempted.top());
            if top > others && self.fast_path.index == NONE {
                // It would only be queued to be taken out again.
                self.set_current(top);
                return Next::Start(ContextIndex { index: self.running });
            }
            // Others of the same priority have waited longer.
            self.ready.push_back(&mut self.contexts, self.running, top);
        }
        self.elect()
    }

    /// Makes the best of the waiting contexts the running one.
    #[inline(always)]
    pub(crate) fn elect(&mut self) -> Next {
        // It beats all others, or it would have been queued.
        if self.fast_path.index != NONE {
            self.running = self.fast_path.context;
            self.current = self.fast_path.rank;
            return Next::Start(ContextIndex { index: self.running });
        }
        let (ready, preempted) = (self.ready.top(), self.preempted.top());
        if ready > preempted {
            self.set_current(ready);
            self.running = self.ready.pop(&mut self.contexts);
            return match self.contexts.at(self.running).active {
                0 => Next::Start(ContextIndex { index: self.running }),
                _ => Next::Resume(ContextIndex { index: self.running }),
            };
        }
        self.set_current(preempted);
        if preempted == 0 {
            self.running = NOBODY;
            return Next::Idle;
        }
        self.running = self.preempted.pop(&mut self.contexts);
        Next::Resume(ContextIndex { index: self.running })
    }

    /// Another rank for the running context, when there is no activation on the fast path.
    #[inline(always)]
    pub(crate) fn set_current(&mut self, rank: Rank) {
        self.current = rank;
        self.bar = rank;
    }

    /// Queues an activation, at the end of its level.
    pub(crate) fn enqueue(&mut self, index: u32, context: u16, priority: Priority) -> Outcome {
        let record = self.contexts.at(context);
        let effective = record.effective;
        record.room -= 1;
        if record.room < 0 && !self.may_exceed(index, context) {
            return self.outcome();
        }
        self.contexts.push(context, &mut self.table, index, priority);
        let rank = rank(priority);
        if rank > effective {
            self.set_rank(context, rank);
        } else if effective == HELD {
            let stamp = self.table.at(index).stamp;
            self.queued_for_held(context, rank, stamp);
        }
        self.outcome()
    }

    /// Takes an activation out of its context's queue, wherever it stands there.
    pub(crate) fn remove_from_queue(&mut self, index: u32, context: u16, priority: Priority) {
        self.contexts.remove(context, &mut self.table, index, priority);
        let record = self.contexts.at(context);
        record.room += 1;
        // First, so that a context of the same rank in the end keeps its turn.
        if record.parked != NONE {
            self.unpark(context);
        }
        self.rank_anew(context);
    }

    /// Something has left a context's queue, or changed its place there.
    #[inline]
    pub(crate) fn rank_anew(&mut self, context: u16) {
        let record = self.contexts.at(context);
        let rank = record.active.max(record.queued);
        if rank != record.effective && record.effective != HELD {
            self.set_rank(context, rank);
        }
    }

    /// Gives a context another effective rank, and the place among the waiting that it deserves.
    pub(crate) fn set_rank(&mut self, context: u16, rank: Rank) {
        let record = self.contexts.at(context);
        let old = core::mem::replace(&mut record.effective, rank);
        if context == self.running {
            self.set_current(rank);
            if self.preemption_due() {
                self.bar = UNBEATABLE;
            }
            return;
        }
        self.withdraw(context, old);
        if rank != 0 {
            self.ready.push_back(&mut self.contexts, context, rank);
        }
    }

    /// Takes a context that does not run out of those that compete, where it stands at `rank`.
    #[inline]
    pub(crate) fn withdraw(&mut self, context: u16, rank: Rank) {
        if self.contexts.at(context).preempted {
            self.preempted.remove(&mut self.contexts, context);
        } else if rank != 0 && rank != HELD {
            self.ready.remove(&mut self.contexts, context, rank);
        }
    }
}
