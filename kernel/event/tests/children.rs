//! A cloner's children over the real core, with occurrences, sources and failures between any two
//! steps: a child is given up in every phase of its life, and while it is made anew. No occurrence
//! and no data is lost before it has been begun with, or begun with twice; no child has two lives,
//! or two sources; a source that waits for a child is told; and in the end all are idle (A-3.1.6,
//! SO-4, SO-15). `REFLEX_SEED=N` repeats a run.

#[path = "children/promises.rs"]
mod promises;

use reflex_event::{
    Accumulation, Activation, Begin, Cause, Children, Chunk, Claim, ContextId, Core,
    DisabledPolicy, Effects, Error, EventId, Finished, Limits, Next, Outcome, Phase, Priority,
    Registration,
};
use std::collections::{HashMap, HashSet};

const PROGRAMS: u64 = 500;
const STEPS: u32 = 4_000;

/// Pseudo-random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }
}

/// What a registration's handler does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Handler {
    /// It is never called: the cloner's event.
    Queue,
    Start(u16),
    /// Of a child, or of the context that is told of idle children.
    Other,
    Freed,
}

/// How far a start handler has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Begin,
    Body,
    Look,
    End,
    Return,
}

/// How far a failed child has been made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repair {
    Unregister,
    Register,
    Restore(EventId),
}

/// What ought to be true of a child.
#[derive(Default)]
struct Kid {
    /// It has begun and not ended.
    lives: bool,
    stopped: bool,
    /// The claim of the source that has it.
    claim: Option<Claim>,
    repair: Option<Repair>,
}

struct Machine {
    random: Random,
    core: Core<Handler>,
    children: Children<()>,
    queue: ContextId,
    event: EventId,
    freed: EventId,
    /// Of each context, what is on its stack.
    stacks: HashMap<u16, (Handler, Stage)>,
    kids: Vec<Kid>,
    /// Claims that were made, old ones too.
    claims: Vec<Claim>,
    names: HashSet<ContextId>,
    /// The driver has been told of a preemption.
    due: bool,
    /// A source was refused, and is to be told.
    owed: bool,
    listens: bool,
    disabled: bool,
    occurred: u64,
    begun: u64,
    cleaned: u64,
    called: u64,
    begun_with_data: u64,
    /// How often a child was given up in each phase, by its first letter.
    failures: HashMap<&'static str, u64>,
    taken: u64,
}

fn registration(priority: Priority, accumulation: Accumulation) -> Registration {
    Registration { priority, accumulation }
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let count = 1 + random.below(4) as u16;
        let accumulation = [Accumulation::Each, Accumulation::Count][random.below(2)];
        let mut core = Core::new(());
        core.reserve(Chunk::<Handler>::SIZE, 16).unwrap();
        assert!(core.supply(Box::leak(Box::default())).is_none());
        let mut add = |limits| core.add_context((), limits).unwrap();
        let (queue, source) = (add(Limits::NONE), add(Limits::NONE));
        let contexts: Vec<_> = (0..count).map(|_| add(Limits::NONE)).collect();
        let priority = Priority::DEFAULT;
        assert_eq!(core.set_taken(queue, None, 0), Ok(Outcome::Continue));
        let mut children = Children::new(queue, count, priority).unwrap();
        let freed = registration(Priority::HIGH, Accumulation::Count);
        let freed = core.register(source, freed, Handler::Freed).unwrap();
        for (number, context) in (0..).zip(&contexts) {
            let start = registration(priority, Accumulation::Each);
            let start = core.register(*context, start, Handler::Start(number)).unwrap();
            let added = children.add(&mut core, (*context, start), Limits::NONE, (), || 0);
            assert_eq!(added.unwrap().activate, None);
        }
        let full = children.add(&mut core, (queue, freed), Limits::NONE, (), || 0);
        assert_eq!(full, Err(Error::LimitReached));
        let event = core.register(queue, registration(priority, accumulation), Handler::Queue);
        let event = event.unwrap();
        core.set_attribute(event, reflex_event::Attribute::Watched, true).unwrap();
        children.set_freed(Some(freed));
        Self {
            random,
            core,
            children,
            queue,
            event,
            freed,
            stacks: HashMap::new(),
            kids: contexts.iter().map(|_| Kid::default()).collect(),
            claims: Vec::new(),
            names: contexts.into_iter().collect(),
            due: false,
            owed: false,
            listens: true,
            disabled: false,
            occurred: 0,
            begun: 0,
            cleaned: 0,
            called: 0,
            begun_with_data: 0,
            failures: HashMap::new(),
            taken: 0,
        }
    }

    fn count(&self) -> u16 {
        self.kids.len() as u16
    }

    fn any(&mut self) -> u16 {
        self.random.below(self.kids.len()) as u16
    }

    fn phase(&self, child: u16) -> Phase {
        self.children.phase(child).unwrap()
    }

    fn names(&self, child: u16) -> (ContextId, EventId) {
        self.children.names(child).unwrap()
    }

    fn note(&mut self, outcome: Outcome) {
        assert_ne!(outcome, Outcome::Watched);
        self.due |= outcome == Outcome::Preempt;
    }

    fn apply(&mut self, Effects { outcome, activate }: Effects) {
        self.note(outcome);
        if let Some(event) = activate {
            let outcome = self.core.activate(event, 1, || 0);
            self.note(outcome.expect("a live event is to be activated"));
        }
    }

    /// Something happens, and then the best context runs.
    fn step(&mut self) {
        let done = match self.random.below(32) {
            0..4 => self.occur(),
            4..6 => self.claim(),
            6..8 => self.use_claim(),
            8 => self.fail(),
            9..14 => self.repair(false),
            14 => self.register_with_any(),
            15 => self.unregister_any(),
            16 => self.activate_any(),
            17 => self.stop_or_start(),
            18 => self.set_priority(),
            19 => self.control(),
            _ => self.run(),
        };
        self.taken += u64::from(done);
        self.settle();
    }

    fn settle(&mut self) {
        assert!(!self.core.preemption_due() || self.due, "the driver has not been told");
        self.due = false;
        while let Some(next) = self.core.preempt() {
            self.go(next);
        }
        self.check();
    }

    fn go(&mut self, next: Next) {
        match next {
            Next::Start(place) => {
                let running = self.core.running().expect("it was just named");
                assert_eq!(running.place(), place);
                let (handler, _) = self.core.begin(|| 0);
                let before = self.stacks.insert(running.index, (handler, Stage::Begin));
                assert_eq!(before, None);
                if handler == Handler::Freed {
                    self.owed = false;
                }
            }
            Next::Resume(place) => {
                let running = self.core.running().expect("it was just named");
                assert_eq!(running.place(), place);
                assert!(self.stacks.contains_key(&running.index));
            }
            Next::Idle => {}
        }
    }

    /// The running handler comes a step further.
    fn run(&mut self) -> bool {
        let Some(running) = self.core.running() else { return false };
        let (handler, stage) = self.stacks[&running.index];
        let next = match (handler, stage) {
            (Handler::Start(child), Stage::Begin) => self.begin(child),
            (Handler::Start(_), Stage::Body) => self.body(running),
            (Handler::Start(child), Stage::Look) => {
                match self.children.returned(&mut self.core, child) {
                    true => Stage::End,
                    false => Stage::Return,
                }
            }
            (Handler::Start(child), Stage::End) => {
                let effects = self.children.end(&mut self.core, child, || 0);
                if self.phase(child) == Phase::Lingers && effects.activate.is_some() {
                    let (_, live) = self.core.context_state(running).unwrap();
                    assert_eq!(live, 1, "it is looked at again, and its registrations live on");
                }
                self.apply(effects);
                if self.phase(child) == Phase::Idle {
                    self.kids[usize::from(child)].lives = false;
                    assert!(self.names.insert(self.names(child).0), "a name is used again");
                }
                Stage::Return
            }
            _ => {
                self.stacks.remove(&running.index);
                let next = match self.core.finish() {
                    Finished::Next(next) => next,
                    Finished::Release(_) => self.core.leave(),
                };
                self.go(next);
                return true;
            }
        };
        self.stacks.insert(running.index, (handler, next));
        true
    }

    fn begin(&mut self, child: u16) -> Stage {
        let before = self.phase(child);
        let (begin, outcome) = self.children.begin(&mut self.core, child, || 0);
        self.note(outcome);
        let Begin::Life(cause) = begin else {
            return if begin == Begin::Again { Stage::Look } else { Stage::Return };
        };
        assert!(matches!(before, Phase::Idle | Phase::Due(_)), "{before:?}");
        let kid = &mut self.kids[usize::from(child)];
        assert!(!kid.lives, "a child has two lives");
        kid.lives = true;
        match cause {
            Cause::Occurrence(Activation { event, count }) => {
                assert_eq!(event, self.event);
                self.begun += u64::from(count);
            }
            Cause::Data => self.begun_with_data += 1,
        }
        Stage::Body
    }

    /// The application's part: it may register something of its own.
    fn body(&mut self, context: ContextId) -> Stage {
        match self.random.below(4) {
            0 => self.register(context),
            1 => drop(self.unregister_one(context)),
            2 => return Stage::Look,
            _ => {}
        }
        Stage::Body
    }

    fn register(&mut self, context: ContextId) {
        let (_, live) = self.core.context_state(context).unwrap();
        if live < 4 {
            let plain = registration(Priority::DEFAULT, Accumulation::Each);
            self.core.register(context, plain, Handler::Other).unwrap();
        }
    }

    /// Any code that has its name may register something with a child; but not while it is down.
    fn register_with_any(&mut self) -> bool {
        let child = self.any();
        let up = self.kids[usize::from(child)].repair.is_none();
        if up {
            self.register(self.names(child).0);
        }
        up
    }

    fn unregister_any(&mut self) -> bool {
        let child = self.any();
        let up = self.kids[usize::from(child)].repair.is_none();
        up && self.unregister_one(self.names(child).0)
    }

    /// Ends a context's last registration, unless that is its start event.
    fn unregister_one(&mut self, context: ContextId) -> bool {
        let child = (0..self.count()).find(|child| self.names(*child).0 == context).unwrap();
        let last = self.core.first_of(context).unwrap().unwrap();
        if last == self.names(child).1 {
            return false;
        }
        let outcome = self.core.unregister(last).unwrap().outcome;
        self.note(outcome);
        let activate = self.children.left(&mut self.core, child);
        self.apply(Effects { outcome: Outcome::Continue, activate });
        true
    }

    fn activate_any(&mut self) -> bool {
        let child = self.any();
        let (context, start) = self.names(child);
        // Its own start event too: code that guesses its name may.
        let event = match self.random.below(4) {
            0 => Some(start),
            _ => self.core.first_of(context).unwrap_or(None),
        };
        let outcome = event.and_then(|event| self.core.activate(event, 1, || 0).ok());
        outcome.inspect(|outcome| self.note(*outcome)).is_some()
    }

    fn occur(&mut self) -> bool {
        let count = [1, 1, 1, 3][self.random.below(4)];
        let activation = Activation { event: self.event, count };
        match self.core.activate(self.event, count, || 0) {
            Ok(Outcome::Watched) => {}
            other => panic!("{other:?}"),
        }
        self.occurred += u64::from(count);
        let info = self.core.look_up(self.event).unwrap();
        let for_one = count == 1 || info.registration.accumulation == Accumulation::Count;
        let first = info.pending == 0 && info.disabled.is_none();
        let idle = (0..self.count()).any(|child| self.phase(child) == Phase::Idle);
        match self.children.offer(&mut self.core, info, activation, || 0) {
            Some(effects) => {
                assert!(for_one && first, "one child has what is for several, or comes later");
                self.apply(effects);
            }
            None => {
                assert!(!(for_one && first && idle), "a child is idle, and was not asked");
                let admitted = self.core.accept(self.event, count, 0).unwrap();
                self.note(admitted);
            }
        }
        true
    }

    fn claim(&mut self) -> bool {
        match self.children.claim(&mut self.core, || 0) {
            Ok((claim, outcome)) => {
                self.note(outcome);
                let kid = &mut self.kids[usize::from(claim.child)];
                assert!(!kid.lives && kid.claim.is_none(), "it is taken already");
                kid.claim = Some(claim);
                assert!(!self.claims.contains(&claim), "an old claim holds again");
                self.claims.push(claim);
            }
            Err(error) => {
                assert_eq!(error, Error::Busy);
                assert!((0..self.count()).all(|child| self.phase(child) != Phase::Idle));
                self.owed |= self.listens;
            }
        }
        true
    }

    /// A source calls a child or gives it back; now and then with a claim that is of no use any more.
    fn use_claim(&mut self) -> bool {
        if self.claims.is_empty() {
            return false;
        }
        let at = self.random.below(self.claims.len());
        let claim = self.claims[at];
        if self.random.below(4) != 0 {
            let _used = self.claims.remove(at);
        }
        let held = self.kids[usize::from(claim.child)].claim.take_if(|it| *it == claim).is_some();
        assert_eq!(self.children.holds(claim), held);
        if self.random.below(3) == 0 {
            let effects = self.children.give_back(&mut self.core, claim, || 0);
            self.apply(effects);
            return true;
        }
        match self.children.call(claim) {
            Ok(start) => {
                assert!(held);
                self.called += 1;
                self.apply(Effects { outcome: Outcome::Continue, activate: Some(start) });
            }
            Err(effects) => {
                assert!(!held);
                self.owed |= self.listens;
                self.apply(effects);
            }
        }
        true
    }

    /// A child is given up, wherever it is.
    fn fail(&mut self) -> bool {
        let child = self.any();
        if self.kids[usize::from(child)].repair.is_some() {
            return false;
        }
        let (context, _) = self.names(child);
        let phase = match self.phase(child) {
            Phase::Idle => "idle",
            Phase::Claimed(_) => "claimed",
            Phase::Due(Cause::Occurrence(_)) => "due",
            Phase::Due(Cause::Data) => "due with data",
            Phase::Alive => "alive",
            Phase::Lingers => "lingers",
            Phase::Failed(_) => unreachable!("it is not being made anew"),
        };
        *self.failures.entry(phase).or_default() += 1;
        let outcome = self.children.failed(&mut self.core, child, || 0);
        self.note(outcome);
        if let Some(served) = self.core.serving(context) {
            let _ = self.core.unregister(served);
        }
        let (_, next) = self.core.abandon(context).unwrap();
        self.due |= self.core.preemption_due();
        self.stacks.remove(&context.index);
        let kid = &mut self.kids[usize::from(child)];
        (kid.lives, kid.claim, kid.repair) = (false, None, Some(Repair::Unregister));
        if let Some(next) = next {
            self.go(next);
        }
        true
    }

    /// A step of making a failed child anew.
    fn repair(&mut self, surely: bool) -> bool {
        let failed =
            (0..self.count()).find(|child| self.kids[usize::from(*child)].repair.is_some());
        let Some(child) = failed else { return false };
        let (context, _) = self.names(child);
        let repair = self.kids[usize::from(child)].repair.unwrap();
        let next = match repair {
            Repair::Unregister => match self.core.first_of(context).unwrap() {
                Some(event) => {
                    let outcome = self.core.unregister(event).unwrap().outcome;
                    self.note(outcome);
                    Some(Repair::Unregister)
                }
                None => {
                    let name = self.children.renew(&mut self.core, child).unwrap();
                    assert!(self.names.insert(name), "a name is used again");
                    self.kids[usize::from(child)].stopped = false;
                    Some(Repair::Register)
                }
            },
            // There may be no memory for it.
            Repair::Register if !surely && self.random.below(4) == 0 => Some(Repair::Register),
            Repair::Register => {
                let start = registration(self.children.priority(), Accumulation::Each);
                let start = self.core.register(context, start, Handler::Start(child)).unwrap();
                Some(Repair::Restore(start))
            }
            Repair::Restore(start) => {
                let restored = self.children.restored(&mut self.core, child, start, || 0);
                self.apply(restored.unwrap());
                let again = self.children.restored(&mut self.core, child, start, || 0);
                assert_eq!(again, Err(Error::Busy));
                None
            }
        };
        self.kids[usize::from(child)].repair = next;
        true
    }

    fn stop_or_start(&mut self) -> bool {
        let child = self.any();
        let kid = &mut self.kids[usize::from(child)];
        if kid.repair.is_some() {
            return false;
        }
        kid.stopped = !kid.stopped;
        let stop = kid.stopped;
        let (context, _) = self.names(child);
        if stop {
            self.core.stop(context).unwrap();
            self.due |= self.core.preemption_due();
        } else {
            let outcome = self.core.start(context).unwrap();
            self.note(outcome);
        }
        true
    }

    fn set_priority(&mut self) -> bool {
        let priority = Priority::new(self.random.below(64) as u8).unwrap();
        self.children.set_priority(priority);
        for child in 0..self.count() {
            // One that is down has none.
            if let Ok(outcome) = self.core.set_priority(self.names(child).1, priority) {
                self.note(outcome);
            }
        }
        true
    }

    fn control(&mut self) -> bool {
        match self.random.below(8) {
            0 => {
                self.cleaned += u64::from(self.core.clean(self.event).unwrap());
                self.due |= self.core.preemption_due();
            }
            1 => {
                self.listens = !self.listens;
                self.owed &= self.listens;
                self.children.set_freed(self.listens.then_some(self.freed));
            }
            2 | 3 => {
                self.disabled = true;
                let outcome = self.core.disable(self.event, DisabledPolicy::Keep).unwrap();
                self.note(outcome);
            }
            _ => self.enable(),
        }
        true
    }

    fn enable(&mut self) {
        self.disabled = false;
        let (_, outcome) = self.core.enable(self.event, || 0).unwrap();
        self.note(outcome);
    }
}

#[test]
fn children_are_given_up_in_every_phase_and_nothing_is_lost() {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_nanos() as u64 % 1_000_000_000
    });
    println!("seed {seed} (repeat with REFLEX_SEED={seed})");
    let mut taken = 0;
    let mut failures: HashMap<&str, u64> = HashMap::new();
    for program in 0..PROGRAMS {
        let mut machine = Machine::new(seed.wrapping_mul(PROGRAMS).wrapping_add(program));
        (0..STEPS).for_each(|_| machine.step());
        let (steps, failed) = machine.finish();
        taken += steps;
        failed.into_iter().for_each(|(phase, count)| *failures.entry(phase).or_default() += count);
    }
    println!("{taken} steps; given up: {failures:?}");
    assert!(taken >= 1_000_000, "{taken} steps are no million");
    for phase in ["idle", "claimed", "due", "due with data", "alive", "lingers"] {
        assert!(failures.get(phase).is_some_and(|count| *count >= 100), "{phase}: {failures:?}");
    }
}
