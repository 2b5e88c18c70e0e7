//! A machine without a machine: it does what the core says, and checks it against a model that
//! is too simple to be wrong.

use reflex_event::{
    Accumulation, AtOnce, ContextId, Core, Error, EventId, Next, Priority, Registration,
};

/// Something that happens, in the running handler or in an interrupt over it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Activate { event: u8, count: u32 },
    ActivateAtOnce { event: u8, count: u32 },
    Return,
    Register { context: u8, priority: u8, each: bool },
    Unregister { event: u8 },
    UnregisterSelf,
    SetPriority { event: u8, priority: u8 },
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
        Self { core, events: Vec::new(), stacks, released: Vec::new(), clock: 0 }
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
        match step {
            Step::Activate { event, count } => self.activate(event, count),
            Step::ActivateAtOnce { event, count } => self.activate_at_once(event, count),
            Step::Return => self.finish(),
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
            self.take(vec![Step::Return]);
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
        let before = self.core.running();
        let result = self.core.activate_at_once(self.events[place].id, count);
        if !self.events[place].live {
            assert_eq!(result.err(), Some(Error::Stale));
            return;
        }
        let clock = self.clock;
        let event = &mut self.events[place];
        if event.pending == 0 {
            event.arrival = clock;
        }
        event.pending += count;
        event.activated += u64::from(count);
        if let AtOnce::Start { from, to, handler, activation } = result.unwrap() {
            assert_eq!((from, to.0, handler), (before, event.context, place));
            assert_eq!((activation.event, activation.count), (event.id, count));
            assert!(!event.each || count == 1);
            event.pending -= count;
            event.delivered += u64::from(count);
            let priority = event.priority;
            let stack = &mut self.stacks[usize::from(to.0)];
            assert!(stack.is_none(), "a second handler in one context");
            *stack = Some((place, priority));
        }
    }

    fn activate(&mut self, choice: u8, count: u32) {
        let Some(place) = self.pick(choice) else { return };
        let clock = self.clock;
        let event = &mut self.events[place];
        let result = self.core.activate(event.id, count);
        if !event.live {
            assert_eq!(result, Err(Error::Stale));
            return;
        }
        assert!(result.is_ok());
        if event.pending == 0 {
            event.arrival = clock;
        }
        event.pending += count;
        event.activated += u64::from(count);
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
        assert!(result.is_ok());
        if event.pending > 0 && event.priority != priority {
            event.arrival = clock;
        }
        event.priority = priority;
    }

    fn finish(&mut self) {
        let Some(context) = self.core.running() else { return };
        let (place, _) = self.stacks[usize::from(context.0)].take().unwrap();
        let finished = self.core.finish();
        assert_eq!(finished.released, (!self.events[place].live).then_some(place));
        self.released.extend(finished.released);
        self.carry_out(finished.next);
    }

    fn dispatch(&mut self) {
        while let Some(next) = self.core.preempt() {
            self.carry_out(next);
        }
    }

    fn carry_out(&mut self, next: Next) {
        match next {
            Next::Idle => assert!(self.events.iter().all(|event| event.pending == 0)),
            Next::Resume(context) => assert!(self.stacks[usize::from(context.0)].is_some()),
            Next::Start(context) => self.begin(context),
        }
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
        let rank = |context: u16| {
            let active = self.stacks[usize::from(context)].map(|(_, priority)| priority);
            let waiting = self.events.iter().filter(|at| at.context == context && at.pending > 0);
            active.into_iter().chain(waiting.map(|at| at.priority)).max()
        };
        let best = (0..self.stacks.len() as u16).filter_map(rank).max();
        let running = self.core.running();
        assert_eq!(running.and_then(|context| rank(context.0)), best);
        if let Some(context) = running {
            let (place, _) = self.stacks[usize::from(context.0)].unwrap();
            assert_eq!(self.core.serving(context).unwrap().index, self.events[place].id.index);
        }
    }
}
