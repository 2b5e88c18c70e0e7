//! What the dispatcher knows of a context.

use crate::queue::{Queue, Rank, rank};
use crate::table::{NONE, Table};
use crate::trouble::{Notice, Troubles};
use crate::{ContextId, Error, EventId, Limits, Priority};
use alloc::vec::Vec;

/// No context.
pub(crate) const NOBODY: u16 = u16::MAX;

/// The effective rank of a context that may not be chosen. Above every priority's, so that no
/// activation raises it.
pub(crate) const HELD: Rank = Rank::MAX - 1;

/// One context's scheduling state, apart from its queue: what every switch touches.
///
/// ```text
///            activate                dispatch
///   Idle ---------------> Ready ------------------> Running <--+
///    ^                      ^                        |  |      | dispatch
///    |                      | rank changes           |  |      |
///    |                      +--------- Preempted <---|--+      |
///    |                                     |         | preempt |
///    |                                     +---------|---------+
///    +-----------------------------------------------+
///                    finish, nothing pending
///
///   any but Running -- hold --> Held -- release --> Idle, Ready
///   Running -- wait, abandon, finish when it is to stop --> Held
/// ```
///
/// As large as a cache line, so that its place is found by a shift; and what the driver keeps is first, so that
/// its place is that.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct ContextRecord<C> {
    /// What the driver of the core keeps with each context.
    pub(crate) machine: C,
    /// What it is called: a name of its place. Where there is no context it is another place's, so that
    /// it is nobody's.
    pub(crate) name: ContextId,
    /// Place of the registration that has its handler on the stack.
    pub(crate) serving: u32,
    /// How many more activations may be queued; below 0 by notices of trouble.
    pub(crate) room: i32,
    /// The first activation that waits for room.
    pub(crate) parked: u32,
    /// Neighbours among the ready, or the preempted (`next` was preempted before this one).
    pub(crate) next: u16,
    pub(crate) previous: u16,
    /// Rank it competes with: the highest of `active` and what is pending. 0 when idle, [`HELD`]
    /// when it does not compete.
    pub(crate) effective: Rank,
    /// Rank of the activation its handler runs for; 0 when no handler is on its stack.
    pub(crate) active: Rank,
    /// Among the preempted, not the ready.
    pub(crate) preempted: bool,
    /// It is to be held as soon as no handler is on its stack.
    pub(crate) stopping: bool,
    /// The rank that it has been raised to; 0 when it has not been.
    pub(crate) ceiling: Rank,
    /// The registration has ended that has its handler on the stack.
    pub(crate) ending: bool,
    /// The highest rank in its queue; 0 when that is empty.
    pub(crate) queued: Rank,
}

/// The rest of a context: what only cold paths touch.
pub(crate) struct ContextStatistics {
    /// How many reasons there are to hold it.
    pub(crate) holds: u16,
    /// It is held until an event that lets it go on.
    pub(crate) waiting: bool,
    /// The context that excludes it for the time being, and so runs in its stead.
    pub(crate) excluded_by: u16,
    /// Its activations are taken one by one, not run; and this is told when there are some.
    pub(crate) taken: Option<Taking>,
    pub(crate) registered: u32,
    pub(crate) limits: Limits,
    /// Its registrations.
    pub(crate) first_owned: u32,
    pub(crate) last_parked: u32,
    pub(crate) notice: Notice,
    /// When the activation that its handler runs for was queued, if that is kept.
    pub(crate) since: u64,
    pub(crate) shed: u64,
}

impl ContextStatistics {
    const fn new(limits: Limits) -> Self {
        Self {
            holds: 0,
            waiting: false,
            excluded_by: NOBODY,
            taken: None,
            registered: 0,
            limits,
            first_owned: NONE,
            last_parked: NONE,
            notice: Notice { event: None, troubles: Troubles::NONE },
            since: 0,
            shed: 0,
        }
    }
}

/// How many activations may be queued.
fn room(limits: Limits) -> i32 {
    i32::try_from(limits.activations).unwrap_or(i32::MAX).max(1)
}

/// How the activations of a context are taken that runs no handlers.
#[derive(Clone, Copy)]
pub(crate) struct Taking {
    pub(crate) notify: Option<EventId>,
    /// It has been told and has not found the queue empty since.
    pub(crate) told: bool,
}

/// The most contexts there can be.
pub(crate) const MOST: usize = 256;

/// All contexts. They lie in an array, so that reaching one costs no look at a length; and first, so that it costs
/// no addition to where all of them are.
#[repr(C)]
pub(crate) struct Contexts<C> {
    records: [ContextRecord<C>; MOST],
    /// Of all there can be, made at the start: adding a context is a short section.
    queues: Vec<Queue>,
    accounts: Vec<ContextStatistics>,
    /// How many there are.
    count: usize,
    /// The core that they are on.
    core: u32,
}

impl<C: Copy> Contexts<C> {
    pub(crate) const fn new(core: u32, machine: C) -> Self {
        let idle = ContextRecord {
            effective: 0,
            active: 0,
            preempted: false,
            stopping: false,
            ceiling: 0,
            ending: false,
            queued: 0,
            name: ContextId::first(core, 0),
            next: NOBODY,
            previous: NOBODY,
            serving: NONE,
            room: i32::MAX,
            parked: NONE,
            machine,
        };
        let mut records = [idle; MOST];
        records[0].name = ContextId::first(core, 1);
        Self { records, queues: Vec::new(), accounts: Vec::new(), count: 0, core }
    }

    pub(crate) fn reserve(&mut self, most: usize) -> Result<(), Error> {
        let most = most.min(MOST);
        let queues = self.queues.try_reserve_exact(most);
        let room = queues.and(self.accounts.try_reserve_exact(most));
        room.map_err(|_| Error::HeapExhausted)?;
        self.queues.resize_with(most, || Queue::EMPTY);
        self.accounts.resize_with(most, || ContextStatistics::new(Limits::NONE));
        Ok(())
    }

    /// Adds a context, if there is room for one more.
    pub(crate) fn add(&mut self, machine: C, limits: Limits) -> Result<ContextId, Error> {
        if self.count == self.queues.len() {
            return Err(Error::TooManyContexts);
        }
        let index = self.count as u16;
        self.count += 1;
        self.account(index).limits = limits;
        let name = ContextId::first(self.core, index);
        let record = self.at(index);
        record.name = name;
        record.machine = machine;
        record.room = room(limits);
        Ok(record.name)
    }

    /// Gives a place to another context, and returns that one's name.
    ///
    /// # Errors
    /// [`Error::UsedUp`].
    pub(crate) fn rename(&mut self, context: u16) -> Result<ContextId, Error> {
        let record = self.at(context);
        record.name = record.name.next()?;
        Ok(record.name)
    }

    /// The account of a context that is held anew, for the one that has its place now.
    pub(crate) fn renew(&mut self, context: u16, limits: Limits) {
        *self.account(context) = ContextStatistics { holds: 1, ..ContextStatistics::new(limits) };
        self.at(context).room = room(limits);
    }

    /// Whether there is a context of this name.
    #[inline(always)]
    pub(crate) fn exists(&self, context: ContextId) -> bool {
        self.record(context.index).name == context
    }

    /// The index of a context that exists under this name.
    #[inline(always)]
    pub(crate) fn index(&self, context: ContextId) -> Result<u16, Error> {
        if self.exists(context) { Ok(context.index) } else { Err(Error::NoContext) }
    }

    /// The name of the context at a place.
    pub(crate) fn named(&self, context: u16) -> Result<ContextId, Error> {
        let exists = usize::from(context) < self.count;
        if exists { Ok(self.name(context)) } else { Err(Error::NoContext) }
    }

    /// The name of a context that is known to exist.
    #[inline(always)]
    pub(crate) fn name(&self, context: u16) -> ContextId {
        self.record(context).name.at(context)
    }

    #[inline(always)]
    fn record(&self, context: u16) -> &ContextRecord<C> {
        &self.records[usize::from(context) % MOST]
    }

    /// A context that is known to exist; the remainder only spares the check.
    #[inline(always)]
    pub(crate) fn at(&mut self, context: u16) -> &mut ContextRecord<C> {
        &mut self.records[usize::from(context) % MOST]
    }

    /// Appends an activation to a context's queue.
    #[inline(always)]
    pub(crate) fn push<H>(
        &mut self,
        context: u16,
        table: &mut Table<H>,
        index: u32,
        priority: Priority,
    ) {
        self.queues[usize::from(context)].push(table, index, priority);
        let record = self.at(context);
        record.queued = record.queued.max(rank(priority));
    }

    /// Takes the first activation out of a context's queue, which must not be empty.
    #[inline(always)]
    pub(crate) fn pop<H>(&mut self, context: u16, table: &mut Table<H>) -> u32 {
        let top = self.at(context).queued;
        let (index, queued) = self.queues[usize::from(context)].pop(table, top);
        self.at(context).queued = queued;
        index
    }

    /// Takes an activation out of a context's queue, wherever it stands there.
    pub(crate) fn remove<H>(
        &mut self,
        context: u16,
        table: &mut Table<H>,
        index: u32,
        priority: Priority,
    ) {
        let queued = self.queues[usize::from(context)].remove(table, index, priority);
        self.at(context).queued = queued;
    }

    pub(crate) fn account(&mut self, context: u16) -> &mut ContextStatistics {
        &mut self.accounts[usize::from(context)]
    }
}

#[cfg(test)]
mod tests;
