//! A machine without a machine: it does what the core says, and checks it against a model that
//! is too simple to be wrong.

use reflex_event::{
    Accumulation, AtOnce, ContextId, Core, Error, EventId, Finished, Next, Outcome, Priority,
    Registration,
};

/// Something that happens, in the running handler or in an interrupt over it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Activate {
        event: u8,
        count: u32,
    },
    ActivateAtOnce {
        event: u8,
        count: u32,
    },
    /// The handler returns; when it was unregistered, the steps are what releasing it leads to.
    Return {
        releasing: Vec<Step>,
    },
    Register {
        context: u8,
        priority: u8,
        each: bool,
    },
    Unregister {
        event: u8,
    },
    UnregisterSelf,
    SetPriority {
        event: u8,
        priority: u8,
    },
}

struct Event {
    id: EventId,
    context: u16,
    priority: u8,
    each: bool,
    live: bool,
    pending: u32,
    /// When it joined its context's queue.
    arrival: u64,
    activated: u64,
    delivered: u64,
    dropped: u64,
}

/// A handler on a context's stack: the event it serves, and its priority when it began.
type Running = Option<(usize, u8)>;

pub(crate) struct Machine {
    core: Core<usize>,
    events: Vec<Event>,
    stacks: Vec<Running>,
    released: Vec<usize>,
    /// When each context began to wait at its present rank; 0 for one that was running then, and
    /// so goes before the others of its rank.
    waiting_since: Vec<u64>,
    /// A preemption has been said to be due, and not been carried out.
    due: bool,
    clock: u64,
}

impl Machine {
    pub(crate) fn new(contexts: u16) -> Self {
        let mut core = Core::new(());
        core.reserve(1024, usize::from(contexts)).unwrap();
        for index in 0..contexts {
            assert_eq!(core.add_context(()), Ok(ContextId(index)));
        }
        assert_eq!(core.add_context(()), Err(Error::TableFull));
        let stacks = vec![None; usize::from(contexts)];
        let waiting_since = vec![0; usize::from(contexts)];
        Self {
            core,
            events: Vec::new(),
            stacks,
            released: Vec::new(),
            waiting_since,
            due: false,
            clock: 0,
        }
    }

    /// Lets `steps` happen in one section, then dispatches.
    pub(crate) fn take(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.clock += 1;
            self.change(step);
        }
        self.dispatch();
        self.check();
    }

    fn change(&mut self, step: Step) {
        if let Step::Return { releasing } = step {
            return self.finish(releasing);
        }
        let before: Vec<_> = self.ranks().collect();
        self.make(step);
        let after: Vec<_> = self.ranks().collect();
        for context in 0..after.len() {
            if before[context] != after[context] && !self.runs(context) {
                self.waiting_since[context] = self.clock;
            }
        }
    }

    /// What each context competes with: the priority of its handler when that began, or of what
    /// is pending; `None` when it is idle.
    fn ranks(&self) -> impl Iterator<Item = Option<u8>> {
        (0..self.stacks.len()).map(|context| {
            let active = self.stacks[context].map(|(_, priority)| priority);
            let here = |event: &&Event| usize::from(event.context) == context && event.pending > 0;
            let waiting = self.events.iter().filter(here).map(|event| event.priority);
            active.into_iter().chain(waiting).max()
        })
    }

    fn rank(&self, context: ContextId) -> Option<u8> {
        self.ranks().nth(usize::from(context.0)).flatten()
    }

    fn runs(&self, context: usize) -> bool {
        self.core.running().is_some_and(|running| usize::from(running.0) == context)
    }

    fn make(&mut self, step: Step) {
        match step {
            Step::Activate { event, count } => self.activate(event, count),
            Step::ActivateAtOnce { event, count } => self.activate_at_once(event, count),
            Step::Return { .. } => unreachable!("`change` has seen to it"),
            Step::Register { context, priority, each } => self.register(context, priority, each),
            Step::Unregister { event } => {
                if let Some(place) = self.pick(event) {
                    self.unregister(place);
                }
            }
            Step::UnregisterSelf => {
                let running = self.core.running();
                if let Some((place, _)) = running.and_then(|at| self.stacks[usize::from(at.0)]) {
                    self.unregister(place);
                }
            }
            Step::SetPriority { event, priority } => self.set_priority(event, priority),
        }
    }

    /// Lets everything finish: what was activated has then been delivered, once.
    pub(crate) fn drain(&mut self) {
        while self.core.running().is_some() {
            self.take(vec![Step::Return { releasing: vec![] }]);
        }
        for event in &self.events {
            assert_eq!(event.activated, event.delivered + event.dropped);
            assert_eq!(event.pending, 0);
        }
        let live = self.events.iter().filter(|event| event.live).count();
        assert_eq!(self.core.registered() as usize, live);
        assert_eq!(self.released.len(), self.events.len() - live);
    }

    fn pick(&self, choice: u8) -> Option<usize> {
        (!self.events.is_empty()).then(|| usize::from(choice) % self.events.len())
    }

    fn register(&mut self, context: u8, priority: u8, each: bool) {
        let context = u16::from(context) % self.stacks.len() as u16;
        let accumulation = if each { Accumulation::Each } else { Accumulation::Count };
        let registration =
            Registration { priority: Priority::new(priority).unwrap(), accumulation };
        let place = self.events.len();
        let id = self.core.register(ContextId(context), registration, place).unwrap();
        assert!(self.events.iter().all(|other| other.id != id), "an identifier came back");
        self.events.push(Event {
            id,
            context,
            priority,
            each,
            live: true,
            pending: 0,
            arrival: 0,
            activated: 0,
            delivered: 0,
            dropped: 0,
        });
    }

    /// An activation by a caller that can start the handler on the spot.
    fn activate_at_once(&mut self, choice: u8, count: u32) {
        let Some(place) = self.pick(choice) else { return };
        let (before, due) = (self.core.running(), self.core.preemption_due());
        let beaten = before.and_then(|running| self.rank(running));
        let to = ContextId(self.events[place].context);
        let idle = self.rank(to).is_none();
        let result = self.core.activate_at_once(self.events[place].id, count);
        if !self.events[place].live {
            assert_eq!(result.err(), Some(Error::Stale));
            return;
        }
        let result = result.unwrap();
        let priority = self.events[place].priority;
        let single = count == 1 || (count > 1 && !self.events[place].each);
        let expected = !due && idle && Some(priority) > beaten && single;
        // What was due may be so no more; that is found out at the section's end.
        let started = matches!(result, AtOnce::Start { .. });
        assert!(started == expected || (expected && self.due));
        self.count(place, count);
        let event = &mut self.events[place];
        match result {
            AtOnce::Start { from, to, handler, activation } => {
                assert_eq!((from, to.0, handler), (before, event.context, place));
                assert_eq!((activation.event, activation.count), (event.id, count));
                assert!(!event.each || count == 1);
                event.pending -= count;
                event.delivered += u64::from(count);
                let stack = &mut self.stacks[usize::from(to.0)];
                assert!(stack.is_none(), "a second handler in one context");
                *stack = Some((place, priority));
                self.waiting_since[usize::from(to.0)] = 0;
            }
            AtOnce::Queued(outcome) => self.note(outcome),
        }
    }

    fn count(&mut self, place: usize, count: u32) {
        let event = &mut self.events[place];
        if event.pending == 0 {
            event.arrival = self.clock;
        }
        event.pending += count;
        event.activated += u64::from(count);
    }

    fn note(&mut self, outcome: Outcome) {
        self.due |= outcome == Outcome::Preempt;
    }

    fn activate(&mut self, choice: u8, count: u32) {
        let Some(place) = self.pick(choice) else { return };
        let result = self.core.activate(self.events[place].id, count);
        if !self.events[place].live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        self.count(place, count);
        self.note(result.unwrap());
    }

    fn unregister(&mut self, place: usize) {
        let event = &mut self.events[place];
        let result = self.core.unregister(event.id);
        if !event.live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        event.live = false;
        event.dropped += u64::from(event.pending);
        event.pending = 0;
        let runs = self.stacks[usize::from(event.context)].is_some_and(|(at, _)| at == place);
        assert_eq!(result, Ok((!runs).then_some(place)));
        if !runs {
            self.released.push(place);
        }
        self.due |= self.core.preemption_due();
    }

    fn set_priority(&mut self, choice: u8, priority: u8) {
        let Some(place) = self.pick(choice) else { return };
        let clock = self.clock;
        let event = &mut self.events[place];
        let result = self.core.set_priority(event.id, Priority::new(priority).unwrap());
        if !event.live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        if event.pending > 0 && event.priority != priority {
            event.arrival = clock;
        }
        event.priority = priority;
        self.note(result.unwrap());
    }

    fn finish(&mut self, releasing: Vec<Step>) {
        let Some(context) = self.core.running() else { return };
        let (place, _) = self.stacks[usize::from(context.0)].take().unwrap();
        let next = match self.core.finish() {
            Finished::Next(next) => {
                assert!(self.events[place].live);
                next
            }
            Finished::Release(released) => {
                assert!(!self.events[place].live);
                assert_eq!(released, place);
                self.released.push(place);
                for step in releasing {
                    self.clock += 1;
                    self.change(step);
                }
                self.core.leave()
            }
        };
        self.clock += 1;
        self.waiting_since[usize::from(context.0)] = self.clock;
        self.carry_out(next);
    }

    /// The end of a section: the first choice is the right one, and nothing that is due was kept
    /// back from the driver.
    fn dispatch(&mut self) {
        let beaten = self.core.running().and_then(|running| self.rank(running));
        if core::mem::take(&mut self.due)
            && let Some(next) = self.core.preempt()
        {
            let running = self.core.running().and_then(|running| self.rank(running));
            assert!(running > beaten, "preempted by no better one");
            self.carry_out(next);
        }
        assert!(!self.core.preemption_due());
    }

    fn carry_out(&mut self, next: Next) {
        if let Next::Start(context) | Next::Resume(context) = next {
            self.elected(context);
        }
        match next {
            Next::Idle => assert!(self.events.iter().all(|event| event.pending == 0)),
            Next::Resume(context) => assert!(self.stacks[usize::from(context.0)].is_some()),
            Next::Start(context) => self.begin(context),
        }
    }

    /// Of the contexts of the highest rank, the one that has waited longest goes on.
    fn elected(&mut self, context: ContextId) {
        let rank = self.rank(context);
        let chosen = usize::from(context.0);
        for (other, theirs) in self.ranks().enumerate() {
            assert!(theirs <= rank);
            if theirs == rank {
                assert!(self.waiting_since[chosen] <= self.waiting_since[other], "not its turn");
            }
        }
        self.waiting_since[chosen] = 0;
    }

    fn begin(&mut self, context: ContextId) {
        let stack = &mut self.stacks[usize::from(context.0)];
        assert!(stack.is_none(), "a second handler in one context");
        let expected = (0..self.events.len())
            .filter(|&at| self.events[at].context == context.0 && self.events[at].pending > 0)
            .min_by_key(|&at| (u8::MAX - self.events[at].priority, self.events[at].arrival))
            .expect("a context was started with nothing pending");
        let (place, activation) = self.core.begin();
        assert_eq!(place, expected, "not the first of the highest priority");
        let event = &mut self.events[place];
        assert!(event.live && activation.event == event.id);
        assert_eq!(activation.count, if event.each { 1 } else { event.pending });
        event.pending -= activation.count;
        event.delivered += u64::from(activation.count);
        self.clock += 1;
        event.arrival = self.clock;
        *stack = Some((place, event.priority));
    }

    /// The running context is the best, counting what it would inherit.
    fn check(&mut self) {
        let best = self.ranks().flatten().max();
        let running = self.core.running();
        assert_eq!(running.and_then(|context| self.rank(context)), best);
        if let Some(context) = running {
            let (place, _) = self.stacks[usize::from(context.0)].unwrap();
            assert_eq!(self.core.serving(context), Some(self.events[place].id));
        }
    }
}
