//! A kernel on the host: contexts, registrations, priorities and timers on one thread.
//!
//! Handlers of higher priority preempt others as in the image, at the points where they can do
//! so deterministically: at an activation and at the end of a section. A preempting handler
//! runs nested in the one it preempts. The one difference: an activation for a context that is
//! itself preempted waits until that context's handler has run to its end.

mod system;

use crate::pool::{pool_of, pool_telling};
use crate::{Clock, Random};
use core::time::Duration;
use reflex_event::{
    Accumulation, Activation, Borrowed, Chosen, Context, ContextId, Error, EventId, EventSystem,
    Instant, Kernel, Priority, Registration, TimerId, Trouble,
};
use reflex_memory::{Content, Lend, Pool};
use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

type State = Box<dyn Any + Send>;
type Handler = Box<dyn Fn(&mut dyn Any, Activation) + Send>;

struct ContextSlot {
    /// Out while a handler runs.
    state: Option<State>,
    pool: &'static Pool,
    troubles: Vec<Trouble>,
    /// What is activated when it ends.
    mourners: Vec<EventId>,
    /// How often it has ended.
    failures: u64,
}

struct Slot {
    generation: u32,
    live: bool,
    context: usize,
    registration: Registration,
    /// Out while it runs.
    handler: Option<Handler>,
    pending: u32,
    queued: bool,
}

struct Timer {
    generation: u32,
    live: bool,
    event: EventId,
    due: Option<(Instant, Option<Duration>)>,
}

struct Tables {
    contexts: Vec<ContextSlot>,
    slots: Vec<Slot>,
    timers: Vec<Timer>,
    /// Pending registrations by priority, in order of arrival.
    ready: [VecDeque<u32>; Priority::LEVELS],
    /// Priority of the running handler; -1 when none runs.
    current: i32,
    sections: u32,
    random: Random,
    runs: u64,
    preemptions: u64,
    counts: Counts,
    /// An event to activate when so many sections of handlers have begun.
    interruption: Option<(u32, EventId)>,
    /// Contexts to be given up when the outermost section ends.
    doomed: BTreeSet<usize>,
    forgotten: u64,
    /// What becomes of what code that is given up has borrowed.
    borrowed: Borrowed,
    /// Bytes of that which are not used again.
    quarantined: usize,
    /// Bytes of the machine's memory that are left to replace those.
    free: usize,
}

/// What the kernel was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Activations.
    pub activations: u64,
    /// Sections, but for those within another.
    pub sections: u64,
    /// Timers armed and disarmed.
    pub timers: u64,
}

/// The simulated kernel; clones are the same kernel.
#[derive(Clone)]
pub struct SimKernel {
    clock: Clock,
    tables: Arc<Mutex<Tables>>,
}

impl SimKernel {
    /// A kernel with random numbers that follow from `seed`.
    pub fn new(clock: Clock, seed: u64) -> Self {
        let tables = Tables {
            contexts: Vec::new(),
            slots: Vec::new(),
            timers: Vec::new(),
            ready: [const { VecDeque::new() }; Priority::LEVELS],
            current: -1,
            sections: 0,
            random: Random::new(seed),
            runs: 0,
            counts: Counts::default(),
            preemptions: 0,
            interruption: None,
            doomed: BTreeSet::new(),
            forgotten: 0,
            borrowed: Borrowed::Quarantined,
            quarantined: 0,
            free: usize::MAX,
        };
        Self { clock, tables: Arc::new(Mutex::new(tables)) }
    }

    /// A context with `state` and an event pool of about `memory` bytes.
    pub fn context<S: Send + 'static>(&self, state: S, memory: usize) -> Context<S> {
        let mut tables = self.lock();
        let index = tables.contexts.len() as u16;
        let weak = Arc::downgrade(&self.tables);
        let pool = pool_telling(memory, move |owner| {
            // A pool outlives its kernel. Nobody allocates with the tables locked.
            if let Some(tables) = weak.upgrade() {
                let mut tables = tables.lock().expect("no handler runs with the tables locked");
                tables.contexts[owner as usize].troubles.push(Trouble::PoolExhausted);
            }
        });
        pool.set_owner(index.into());
        tables.contexts.push(ContextSlot {
            state: Some(Box::new(state)),
            pool,
            troubles: Vec::new(),
            mourners: Vec::new(),
            failures: 0,
        });
        Context::new(ContextId::new(index, 0))
    }

    /// Looks at, or changes, the state of a context that is not running.
    pub fn state<S: 'static, R>(&self, context: Context<S>, look: impl FnOnce(&mut S) -> R) -> R {
        let at = usize::from(context.id().index);
        let mut state = self.lock().contexts[at].state.take().expect("the context is running");
        let result = look(state.downcast_mut().expect("the context's state is of another type"));
        self.lock().contexts[at].state = Some(state);
        result
    }

    /// What trouble a context has been told of.
    pub fn troubles<S>(&self, context: Context<S>) -> Vec<Trouble> {
        self.lock().contexts[usize::from(context.id().index)].troubles.clone()
    }

    /// Gives a context up, which is not running: its registrations end, and those that asked for it
    /// are told. What its state holds stays as it is.
    pub fn end<S>(&self, context: Context<S>) {
        self.end_at(usize::from(context.id().index));
    }

    fn end_at(&self, at: usize) {
        let (events, mourners) = {
            let mut tables = self.lock();
            tables.contexts[at].failures += 1;
            let owned = tables.slots.iter().enumerate();
            let owned = owned.filter(|(_, slot)| slot.live && slot.context == at);
            let name = |(index, slot): (usize, &Slot)| EventId {
                index: index as u32,
                generation: slot.generation,
            };
            let events: Vec<EventId> = owned.map(name).collect();
            (events, core::mem::take(&mut tables.contexts[at].mourners))
        };
        for event in events {
            let _ = self.unregister(event);
        }
        for event in mourners {
            let _ = self.activate(event, 1);
        }
    }

    /// Runs handlers until nothing is pending, with `context` given up should one of its handlers
    /// panic. What that held on its stack is rescued, and the rest is as with [`end`](Self::end).
    /// Says whether that has happened.
    pub fn contain<S: Send + 'static>(&self, context: Context<S>, fresh: S) -> bool {
        self.contain_in(context, fresh, || self.run_until_idle())
    }

    /// [`contain`](Self::contain) for what else runs handlers.
    pub fn contain_in<S: Send + 'static>(
        &self,
        context: Context<S>,
        fresh: S,
        work: impl FnOnce(),
    ) -> bool {
        let at = usize::from(context.id().index);
        let failed = catch_unwind(AssertUnwindSafe(work)).is_err();
        if failed {
            let mut tables = self.lock();
            (tables.current, tables.sections) = (-1, 0);
            tables.contexts[at].state = Some(Box::new(fresh));
            drop(tables);
            self.end(context);
            self.run_until_idle();
        }
        failed
    }

    /// Runs handlers until nothing is pending.
    pub fn run_until_idle(&self) {
        assert_eq!(self.lock().current, -1, "a handler is running");
        self.preempt();
    }

    /// The earliest time a timer is set to.
    pub fn next_timer(&self) -> Option<Instant> {
        self.lock().timers.iter().filter_map(|timer| timer.due.map(|(due, _)| due)).min()
    }

    /// Lets all timers go off that are due.
    pub fn fire_timers(&self) {
        let now = self.clock.now();
        loop {
            let event = {
                let mut tables = self.lock();
                let due = tables
                    .timers
                    .iter_mut()
                    .filter(|timer| timer.due.is_some_and(|(due, _)| due <= now));
                let Some(timer) = due.min_by_key(|timer| timer.due) else { return };
                let (due, period) = timer.due.take().expect("it was just found due");
                timer.due = period.map(|period| (due + period, Some(period)));
                timer.event
            };
            let _ = self.activate(event, 1);
        }
    }

    /// Activates `event` in the `number`th section from now that a handler enters, as an
    /// interrupt's job does: it runs when that section ends.
    pub fn activate_in_section(&self, event: EventId, number: u32) {
        self.lock().interruption = Some((number, event));
    }

    /// Registrations there are.
    pub fn registrations(&self) -> usize {
        self.lock().slots.iter().filter(|slot| slot.live).count()
    }

    /// Values that were forgotten so far, since code that was given up had borrowed them.
    pub fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// From now on, what code that is given up has borrowed is used again.
    pub fn reuse_borrowed(&self) {
        self.lock().borrowed = Borrowed::Reusable;
    }

    /// Bytes so far that code which was given up had borrowed, and that are not used again.
    pub fn quarantined(&self) -> usize {
        self.lock().quarantined
    }

    /// Has so many bytes of the machine's memory be left in the place of those.
    pub fn set_free(&self, bytes: usize) {
        self.lock().free = bytes;
    }

    /// Bytes of the machine's memory that are left.
    pub fn free(&self) -> usize {
        self.lock().free
    }

    /// What it has been asked for so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Handler runs so far.
    pub fn runs(&self) -> u64 {
        self.lock().runs
    }

    /// Handler runs so far that began while another handler was running.
    pub fn preemptions(&self) -> u64 {
        self.lock().preemptions
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no handler runs with the tables locked")
    }

    /// Runs whatever beats the running handler.
    fn preempt(&self) {
        while self.run_above(|tables| tables.current) {}
    }

    /// Runs the next handler of a level above one that `bar` says, if there is any.
    fn run_above(&self, bar: impl FnOnce(&Tables) -> i32) -> bool {
        let (index, handler, mut state, activation, before) = {
            let mut tables = self.lock();
            let bar = bar(&tables);
            let Some(next) = tables.next_above(bar) else { return false };
            next
        };
        handler(&mut *state, activation);
        let mut tables = self.lock();
        tables.current = before;
        let slot = &mut tables.slots[index as usize];
        let context = slot.context;
        if slot.live && slot.generation == activation.event.generation {
            slot.handler = Some(handler);
        }
        tables.contexts[context].state = Some(state);
        true
    }
}

impl Tables {
    fn live(&mut self, event: EventId) -> Result<&mut Slot, Error> {
        let slot = self.slots.get_mut(event.index as usize).ok_or(Error::Stale)?;
        if slot.live && slot.generation == event.generation { Ok(slot) } else { Err(Error::Stale) }
    }

    /// The level to be above for a handler of `event`, of a running handler that yields to its equals: its own,
    /// unless that event is the only one of it that is ready.
    fn yielding(&self, event: EventId) -> i32 {
        let alone = usize::try_from(self.current)
            .is_ok_and(|level| self.ready[level].iter().eq([&event.index]));
        self.current - i32::from(alone)
    }

    /// Takes out the next run of a level above `bar`.
    fn next_above(&mut self, bar: i32) -> Option<(u32, Handler, State, Activation, i32)> {
        if self.sections > 0 {
            return None;
        }
        for level in (0..Priority::LEVELS).rev() {
            if level as i32 <= bar {
                return None;
            }
            for at in 0..self.ready[level].len() {
                let index = self.ready[level][at];
                let slot = &mut self.slots[index as usize];
                let Some(state) = self.contexts[slot.context].state.take() else { continue };
                let count = match slot.registration.accumulation {
                    Accumulation::Each => 1,
                    Accumulation::Count => slot.pending,
                };
                slot.pending -= count;
                self.ready[level].remove(at);
                if slot.pending > 0 {
                    self.ready[level].push_back(index);
                } else {
                    slot.queued = false;
                }
                let handler = slot.handler.take().expect("its context was idle");
                let event = EventId { index, generation: slot.generation };
                let before = self.current;
                self.preemptions += u64::from(before >= 0);
                self.current = level as i32;
                self.runs += 1;
                return Some((index, handler, state, Activation { event, count }, before));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trace;

    fn registration(priority: Priority) -> Registration {
        Registration { priority, accumulation: Accumulation::Count }
    }

    #[test]
    fn runs_by_priority_then_arrival_and_preempts() {
        let kernel = SimKernel::new(Clock::default(), 1);
        let trace = Trace::default();
        let low = kernel.context((), 4096);
        let high = kernel.context((), 4096);
        let noting = |line: &'static str| {
            let trace = trace.clone();
            move |_: &mut (), activation: Activation| {
                trace.note(format!("{line} {}", activation.count));
            }
        };
        let urgent = kernel.register(high, registration(Priority::HIGH), noting("urgent")).unwrap();
        let first = kernel.register(low, registration(Priority::LOW), noting("first")).unwrap();
        let second = kernel.register(low, registration(Priority::LOW), noting("second")).unwrap();
        let (inside, notes) = (kernel.clone(), trace.clone());
        let outer = kernel
            .register(low, registration(Priority::DEFAULT), move |(), _| {
                notes.note("outer begins");
                inside.section(|| inside.activate(urgent, 2).unwrap());
                notes.note("outer ends");
            })
            .unwrap();
        kernel.activate(first, 1).unwrap();
        kernel.activate(second, 1).unwrap();
        kernel.activate(first, 1).unwrap();
        kernel.activate(outer, 1).unwrap();
        kernel.run_until_idle();
        let expected = ["outer begins", "urgent 2", "outer ends", "first 2", "second 1"];
        assert_eq!(trace.take(), expected);
        kernel.unregister(first).unwrap();
        assert_eq!(kernel.activate(first, 1), Err(Error::Stale));
        assert_eq!(kernel.preemptions(), 1);
    }

    #[test]
    fn timers_go_off_in_order_and_not_early() {
        let clock = Clock::default();
        let kernel = SimKernel::new(clock.clone(), 1);
        let context = kernel.context(Vec::<u64>::new(), 4096);
        let now = clock.clone();
        let event = kernel
            .register(context, registration(Priority::LOW), move |times: &mut Vec<u64>, _| {
                times.push(now.now().as_nanos());
            })
            .unwrap();
        let timer = kernel.timer(event).unwrap();
        kernel.arm(timer, Instant::from_nanos(10), Some(Duration::from_nanos(5))).unwrap();
        for _ in 0..3 {
            clock.set(kernel.next_timer().unwrap());
            kernel.fire_timers();
            kernel.run_until_idle();
        }
        kernel.disarm(timer).unwrap();
        assert_eq!(kernel.next_timer(), None);
        kernel.state(context, |times| assert_eq!(*times, [10, 15, 20]));
    }
}
