//! A machine without a machine: it does what the core says, and compares it with a model that is
//! too simple to be wrong. `step` says what can happen, `naive` what ought to come of it;
//! `occurrences`, `registrations`, `contexts` and `dispatch` make the calls on both, `balance`
//! settles up.
//!
//! Included by path wherever programs are to be run: by the simulation beside it, and by
//! `tests/fuzz`.

mod balance;
mod contexts;
mod dispatch;
mod naive;
pub(crate) mod occurrences;
mod registrations;
mod step;

use naive::{Context, Event, World};
use reflex_event::{Chunk, ContextId, Core, Error, Outcome, Priority, Raised};
use std::collections::HashSet;
use std::fmt;
use std::ptr::NonNull;
use step::{Step, What};

/// What is run: a machine of some size, and what happens to it.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) setup: [u8; 4],
    pub(crate) steps: Vec<Step>,
}

impl fmt::Debug for Program {
    /// One line a step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setup {:?}", self.setup)?;
        self.steps.iter().try_for_each(|Step { what, open }| {
            write!(f, "\n{} {what:?}", if *open { "|" } else { "." })
        })
    }
}

impl Program {
    /// The program that a string of bytes is: the setup, and then four bytes a step.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks();
        let setup = words.first().copied().unwrap_or_default();
        Self { setup, steps: words.iter().skip(1).copied().map(Step::decode).collect() }
    }

    /// Runs it to its end, and lets everything finish. Returns how many steps did something.
    pub(crate) fn run(&self) -> u64 {
        let mut machine = Machine::new(self.setup);
        for &step in &self.steps {
            machine.take(step);
        }
        let taken = machine.taken;
        machine.settle_up();
        taken
    }
}

pub(crate) struct Machine {
    core: Core<u32>,
    /// After the core, which has references to them.
    chunks: Chunks,
    world: World,
    /// An interrupt comes before every step, also between a section's last and its dispatch.
    stormy: bool,
    /// Registrations that only fill the table, so that it is full soon.
    ballast: u32,
    most_chunks: u32,
    /// Handlers made, and those the core has given back.
    handlers: u32,
    released: HashSet<u32>,
    /// Every identifier there was, and the contexts that have ended.
    names: HashSet<(u32, u32)>,
    ended: Vec<ContextId>,
    /// The driver has been told that a preemption is due, and has not carried it out.
    due: bool,
    /// The running handler has returned, and is being released.
    releasing: bool,
    /// Ceilings that contexts are at, the innermost last.
    raised: Vec<(usize, Raised)>,
    /// Steps that did something.
    taken: u64,
}

impl Machine {
    fn new([contexts, limits, ballast, weather]: [u8; 4]) -> Self {
        let contexts = usize::from(contexts % 8) + 1;
        let mut core = Core::new(());
        // Every fourth machine has a table that is nearly full.
        let (ballast, most_chunks) = match ballast {
            0..192 => (0, 8),
            _ => (256 - u32::from(ballast % 8), 1 + u32::from(ballast % 3 % 2)),
        };
        core.reserve(most_chunks as usize * Chunk::<u32>::SIZE, contexts).unwrap();
        let all = (0..contexts).map(|index| {
            let limits =
                step::limits(limits.wrapping_mul(31).wrapping_add((index as u8).wrapping_mul(37)));
            let id = core.add_context((), limits).unwrap();
            assert_eq!(id, ContextId::new(index as u16, 0));
            Context::new(id, limits)
        });
        let world = World::new(all.collect());
        let full = core.add_context((), reflex_event::Limits::NONE);
        assert_eq!(full, Err(Error::TooManyContexts));
        let mut machine = Self {
            core,
            world,
            stormy: weather % 4 == 3,
            ballast: 0,
            chunks: Chunks::default(),
            most_chunks,
            handlers: 0,
            released: HashSet::new(),
            names: HashSet::new(),
            ended: Vec::new(),
            due: false,
            releasing: false,
            raised: Vec::new(),
            taken: 0,
        };
        machine.load(ballast);
        machine
    }

    /// Lets a step happen. Unless its section goes on, dispatches and compares all there is.
    fn take(&mut self, step: Step) {
        if self.stormy {
            self.change(|machine| machine.make(machine.occurrence()));
        }
        match step.what {
            What::EndAll { context } => {
                self.taken += 1;
                return self.end_all(self.context(context));
            }
            What::Fail { context, limits } => {
                self.taken += 1;
                return self.fail(context, limits);
            }
            _ => {}
        }
        if self.change(|machine| machine.make(step.what)) {
            self.taken += 1;
        }
        if !step.open {
            self.end_section();
        }
    }

    /// A step in a section of its own.
    fn alone(&mut self, what: What) {
        self.take(Step { what, open: false });
    }

    fn end_section(&mut self) {
        if self.releasing {
            self.leave();
        }
        self.dispatch();
        self.check();
    }

    /// One call of the core, or few that belong together; false if there was nothing to call it
    /// for. A context that changes its rank by it goes behind the others of the new rank.
    fn change(&mut self, call: impl FnOnce(&mut Self) -> bool) -> bool {
        self.world.now += 1;
        let before: Vec<_> = self.world.ranks().collect();
        let was_due = self.core.preemption_due();
        let done = call(self);
        for (context, before) in before.into_iter().enumerate() {
            if before != self.world.rank(context) && self.world.running != Some(context) {
                self.world.contexts[context].turn = self.world.now;
            }
        }
        let due = self.core.preemption_due();
        assert_eq!(due, self.world.due(), "whether a preemption is due");
        assert!(!due || was_due || self.due, "the driver has not been told of a preemption");
        done
    }

    fn make(&mut self, what: What) -> bool {
        match what {
            What::Activate { event, count, pass } => {
                self.event(event, |it, at| it.activate(at, count, pass))
            }
            // While a handler is released the section is open: nothing can be started.
            What::ActivateAtOnce { event, count, pass } | What::Yield { event, count, pass }
                if self.releasing =>
            {
                self.event(event, |it, at| it.activate(at, count, pass))
            }
            What::ActivateAtOnce { event, count, pass } => {
                self.event(event, |it, at| it.activate_at_once(at, count, pass))
            }
            What::Yield { event, count, pass } => {
                self.event(event, |it, at| it.activate_yielding(at, count, pass))
            }
            What::Admit { event, count } => self.event(event, |it, at| it.admit(at, count)),
            What::TimeOut { event } => self.event(event, Self::time_out),
            What::ForgetTimeOut { event } => self.event(event, Self::forget_time_out),
            What::Return => self.finish(),
            What::Register { context, priority, each } => {
                self.register(self.context(context), priority, each)
            }
            What::Unregister { event } => self.event(event, Self::unregister),
            What::EndByCall { event } => self.event(event, Self::end_by_call),
            What::UnregisterOwn => self.served().map(|at| self.unregister(at)).is_some(),
            What::SetPriority { event, priority } => {
                self.event(event, |it, at| it.set_priority(at, priority))
            }
            What::Clean { event } => self.event(event, Self::clean),
            What::Disable { event, meanwhile } => {
                self.event(event, |it, at| it.disable(at, meanwhile))
            }
            What::Enable { event } => self.event(event, Self::enable),
            What::SetTrait { event, which, on } => {
                self.event(event, |it, at| it.set_attribute(at, which, on))
            }
            What::Rebind { event, by } => self.event(event, |it, at| it.rebind(at, by)),
            What::Wait { event } => self.wait(event),
            What::Exclude { context } => self.exclude(self.context(context)),
            What::Raise { ceiling } => self.raise(ceiling),
            What::Lower { context } => self.lower(self.context(context)),
            What::WaitFor { context } => self.wait_for(self.context(context)),
            What::RenewRunning { other } => self.renew_running(other),
            What::AskEnded { context } => self.ask_ended(context),
            What::EndAll { .. } | What::Fail { .. } => unreachable!("`take` has seen to it"),
            of_context => {
                self.make_of_context(of_context);
                true
            }
        }
    }

    fn make_of_context(&mut self, what: What) {
        match what {
            What::Report { context, trouble } => self.report(self.context(context), trouble),
            What::TakeTroubles { context } => self.take_troubles(self.context(context)),
            What::Take { context } => self.take_one(self.context(context)),
            What::SetNotice { context, event } => self.set_notice(self.context(context), event),
            What::Hold { context } => self.hold(self.context(context)),
            What::Release { context } => self.release(self.context(context)),
            What::Unblock { context, by } => self.unblock(self.context(context), by),
            What::Stop { context } => self.stop(self.context(context)),
            What::Start { context } => self.start(self.context(context)),
            What::Abandon { context } => self.abandon(self.context(context)),
            What::Renew { context, limits } => self.renew(self.context(context), limits),
            What::SetTaken { context, notify } => self.set_taken(self.context(context), notify),
            other => unreachable!("{other:?} is of no context"),
        }
    }

    /// Makes a call about the event that a byte chooses, if there is one.
    fn event(&mut self, choice: u8, call: impl FnOnce(&mut Self, usize)) -> bool {
        self.pick(choice).map(|place| call(self, place)).is_some()
    }

    /// Mostly one that lives; now and then one that does not.
    fn pick(&self, choice: u8) -> Option<usize> {
        let all = 0..self.world.events.len();
        let wanted = choice < 240;
        let choices = all.clone().filter(|&at| self.world.events[at].live == wanted);
        let count = choices.clone().count();
        if count == 0 {
            return None;
        }
        choices.clone().nth(usize::from(choice) % count)
    }

    fn context(&self, choice: u8) -> usize {
        usize::from(choice) % self.world.contexts.len()
    }

    fn name(&self, context: usize) -> ContextId {
        self.world.contexts[context].id
    }

    fn served(&self) -> Option<usize> {
        self.world.contexts[self.world.running?].stack?.event
    }

    fn note(&mut self, outcome: Outcome) {
        assert_ne!(outcome, Outcome::Watched);
        self.due |= outcome == Outcome::Preempt;
    }

    /// What a driver does after a call that says nothing about it.
    fn look(&mut self) {
        self.due |= self.core.preemption_due();
    }

    fn give_back(&mut self, handler: u32) {
        assert!(self.released.insert(handler), "a handler was given back twice");
    }

    /// With no section open, the best context runs; and the core's view of everything is right.
    fn check(&mut self) {
        let best = self.world.ranks().max().flatten();
        assert_eq!(self.world.running_rank(), best, "not the best context runs");
        assert_eq!(self.core.running(), self.world.running.map(|at| self.name(at)));
        for place in 0..self.world.events.len() {
            let event = &self.world.events[place];
            if event.live {
                assert_eq!(self.core.look_up(event.id), Ok(self.world.info(place)));
                assert_eq!(self.core.handler(event.id), Ok(event.handler));
            }
            let Event { ledger, pending, .. } = event;
            let gone = ledger.delivered + ledger.dropped + ledger.discarded;
            let gone = gone + ledger.counted + ledger.shed;
            assert_eq!(ledger.activated, gone + u64::from(*pending), "an activation was lost");
        }
        for place in 0..self.world.contexts.len() {
            let context = &self.world.contexts[place];
            let serving = context.stack.and_then(|frame| frame.event);
            let serving = serving.map(|event| self.world.events[event].id);
            assert_eq!(self.core.serving(context.id), serving);
            assert_eq!(self.core.shed(context.id), Ok(context.shed));
            assert_eq!(self.core.context_at(place as u16), Ok(context.id));
            let ballast = if place == 0 { self.ballast } else { 0 };
            let registered = context.registered.len() as u32 + ballast;
            let condition = self.world.context_state(place);
            assert_eq!(self.core.context_state(context.id), Ok((condition, registered)));
        }
        let live = self.world.events.iter().filter(|event| event.live).count() as u32;
        assert_eq!(self.core.registered(), live + self.ballast);
    }
}

/// Memory for registrations, which a core is lent for ever, that is, as long as it lives: millions
/// of machines are too many to leak it.
#[derive(Default)]
struct Chunks(Vec<NonNull<Chunk<u32>>>);

impl Chunks {
    fn lend(&mut self) -> &'static mut Chunk<u32> {
        let chunk = Box::leak(Box::default());
        self.0.push(NonNull::from(&mut *chunk));
        chunk
    }

    fn count(&self) -> u32 {
        self.0.len() as u32
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        for chunk in self.0.drain(..) {
            // SAFETY: from `Box::leak`, and only here given back. The machine's core, which alone
            // had the reference, has been dropped: fields are, in the order they are declared in.
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}

fn priority(level: u8) -> Priority {
    Priority::new(level).unwrap()
}
