//! Replacement, in random sequences with whatever may come in its way: deadlines, filters, time-outs,
//! timers and disabled registrations that are to outlive it; events of other contexts and of none;
//! registering meanwhile; and giving the context up at any instruction. `test.seed` repeats a run.
//!
//! The states are of three types, and say which; a handler says by a stamp which one it is. So it is
//! seen when a handler runs on a state that is not its own, or when a handler runs that is not the
//! registration's.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Accumulation, Activation, Context, DisabledPolicy, Error, EventError, EventId, Priority,
    Registration, ReplaceError, Runtime, Setup, System, TimerId, Trouble, log,
};

const STEPS: u32 = 6_000;
/// Registrations at a time.
const MOST: usize = 6;
/// What the handler has that is registered meanwhile.
const LATE: usize = MOST;
const BACKOFF: Duration = Duration::from_millis(1);
/// A deadline, and how long a handler takes that is to miss it.
const DEADLINE: Duration = Duration::from_micros(40);
const TOO_LONG: Duration = Duration::from_micros(60);
const WITHIN: Duration = Duration::from_micros(300);
/// In what time after its submission a replacement is disturbed, in nanoseconds: instructions. It takes
/// about half of that.
const DISTURBED: u64 = 60_000;

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };
const HIGHEST: Registration =
    Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Each };

/// Handlers that ran on a state of another type than theirs.
static WRONG: AtomicU32 = AtomicU32::new(0);
/// The stamp of the handler that ran last, what it was told, and how often that it was in vain.
static LAST: [AtomicU32; MOST + 1] = [const { AtomicU32::new(0) }; MOST + 1];
static COUNT: [AtomicU32; MOST + 1] = [const { AtomicU32::new(0) }; MOST + 1];
static TIMED_OUT: [AtomicU32; MOST + 1] = [const { AtomicU32::new(0) }; MOST + 1];
/// Handlers take too long.
static SLOW: AtomicBool = AtomicBool::new(false);
/// How often the constructor ran.
static LIVES: AtomicU64 = AtomicU64::new(0);
/// What the registration meanwhile came to: [`NONE`], the event's word, or [`REFUSED`].
static MEANWHILE: AtomicU64 = AtomicU64::new(NONE);
const NONE: u64 = 0;
const REFUSED: u64 = 2;

trait Form: Send + 'static {
    const TAG: u32;
    fn new() -> Self;
    fn tag(&self) -> u32;
}

struct Small(u32);
struct Wide([u32; 20]);
struct Boxed(Box<u32>);

impl Form for Small {
    const TAG: u32 = 0x11;
    fn new() -> Self {
        Self(Self::TAG)
    }
    fn tag(&self) -> u32 {
        self.0
    }
}

impl Form for Wide {
    const TAG: u32 = 0x2222;
    fn new() -> Self {
        Self([Self::TAG; 20])
    }
    fn tag(&self) -> u32 {
        if self.0.iter().all(|tag| *tag == self.0[0]) { self.0[0] } else { 0 }
    }
}

impl Form for Boxed {
    const TAG: u32 = 0x33_3333;
    fn new() -> Self {
        Self(Box::new(Self::TAG))
    }
    fn tag(&self) -> u32 {
        *self.0
    }
}

/// A handler for states of type `S`.
fn serving<S: Form>(
    system: System,
    slot: usize,
    stamp: u32,
) -> impl Fn(&mut S, Activation) + Send + 'static {
    move |state: &mut S, activation| {
        WRONG.fetch_add(u32::from(state.tag() != S::TAG), Relaxed);
        LAST[slot].store(stamp, Relaxed);
        COUNT[slot].fetch_add(activation.count, Relaxed);
        TIMED_OUT[slot].fetch_add(u32::from(activation.timed_out()), Relaxed);
        let end = system.now() + TOO_LONG;
        while SLOW.load(Relaxed) && system.now() < end {
            spin_loop();
        }
    }
}

/// The context, with its state's type.
#[derive(Clone, Copy)]
enum Subject {
    Small(Context<Small>),
    Wide(Context<Wide>),
    Boxed(Context<Boxed>),
}

/// Calls what is said with the context and the type of its state.
macro_rules! with {
    ($subject:expr, $context:ident => $work:expr) => {
        match $subject {
            Subject::Small($context) => $work,
            Subject::Wide($context) => $work,
            Subject::Boxed($context) => $work,
        }
    };
}

/// What is known of a registration.
struct Event {
    id: EventId,
    slot: usize,
    /// Of its present handler.
    stamp: u32,
    /// Only odd counts pass.
    filtered: bool,
    deadline: bool,
    time_out: bool,
    timer: Option<TimerId>,
    /// It is disabled, and has so many occurrences pending.
    held: Option<u32>,
}

struct Random(u64);

impl Random {
    /// A number below `end`. (xorshift64*)
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a replacement is to come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    Done,
    /// One registration is not named, and is to be ended, or not.
    Unnamed {
        ended: bool,
    },
    Foreign,
    Declined,
    /// The conversion panics.
    Failed,
}

struct Simulation {
    system: System,
    kernel: Runtime,
    random: Random,
    /// The context as it begins, and as it is.
    home: Context<Small>,
    subject: Subject,
    /// How often it had been given up.
    deaths: u64,
    /// Free event memory at the beginning of a life.
    free: Option<usize>,
    events: Vec<Event>,
    stamps: u32,
    /// An event of another context, and how often it has been told.
    foreign: EventId,
    /// Gives the context up; registers something with it.
    reaper: TimerId,
    registrar: TimerId,
    /// Replacements by what they came to.
    outcomes: [u32; 4],
}

static FOREIGN: AtomicU32 = AtomicU32::new(0);

#[reflex::test(group = "icount")]
fn replacements_in_random_company(system: System) -> Result<(), Error> {
    let given = system.machine().arguments.get("test.seed").and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or(1);
    log::info!("seed {seed} (repeat with test.seed={seed})");
    let mut simulation = Simulation::new(system, seed)?;
    for step in 0..STEPS {
        simulation.step().inspect_err(|_| log::error!("in step {step} of seed {seed}"))?;
        assert_eq!(WRONG.load(Relaxed), 0, "step {step} of seed {seed}: a state of another type");
    }
    let Simulation { outcomes, deaths, .. } = simulation;
    let [done, refused, stopped, late] = outcomes;
    log::info!(
        "{STEPS} steps: {done} replacements done, {refused} refused, {stopped} stopped; {deaths} \
         lives, {late} registrations meanwhile"
    );
    assert!(done > 500 && refused > 100 && stopped > 50 && late > 20 && deaths > 100);
    Ok(())
}

impl Simulation {
    fn new(system: System, seed: u64) -> Result<Self, Error> {
        let kernel = raw::kernel(system);
        let subject = system
            .context_with("subject", |_: Setup<'_, Small>| {
                LIVES.fetch_add(1, Relaxed);
                Ok::<_, Error>(Small::new())
            })
            .backoff(BACKOFF, BACKOFF)
            // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
            .after_failure(unsafe { reflex::Reuse::at_once() })
            .build()?;
        let id = subject.id();
        let bystander = system.context("bystander", ()).priority(Priority::HIGHEST).build()?;
        let foreign = kernel.register(bystander.handle(), EACH, |(), _| {
            FOREIGN.fetch_add(1, Relaxed);
        })?;
        let reaper = kernel.register(bystander.handle(), HIGHEST, move |(), _| {
            // It may be down already.
            let _ = kernel.give_up(id);
        })?;
        let registrar = kernel.register(bystander.handle(), HIGHEST, move |(), _| {
            let handler = serving::<Small>(system, LATE, u32::MAX);
            let registered = kernel.register(subject.handle(), EACH, handler);
            let word = registered.map_or(REFUSED, |event| event.into_word());
            MEANWHILE.store(word, Relaxed);
        })?;
        Ok(Self {
            system,
            kernel,
            random: Random(seed | 1 << 63),
            home: subject,
            subject: Subject::Small(subject),
            deaths: 0,
            free: None,
            events: Vec::new(),
            stamps: 0,
            foreign,
            reaper: kernel.timer(reaper)?,
            registrar: kernel.timer(registrar)?,
            outcomes: [0; 4],
        })
    }

    fn step(&mut self) -> Result<(), Error> {
        match self.random.below(16) {
            0..3 => self.register(),
            3 => self.end(),
            4..8 => self.change(),
            8..12 => self.look(),
            _ => match self.subject {
                Subject::Small(context) if self.random.chance(50) => {
                    self.replace::<_, Wide>(context)
                }
                Subject::Small(context) => self.replace::<_, Boxed>(context),
                Subject::Wide(context) if self.random.chance(50) => {
                    self.replace::<_, Small>(context)
                }
                Subject::Wide(context) => self.replace::<_, Boxed>(context),
                Subject::Boxed(context) if self.random.chance(50) => {
                    self.replace::<_, Small>(context)
                }
                Subject::Boxed(context) => self.replace::<_, Wide>(context),
            },
        }
    }

    fn stamp(&mut self) -> u32 {
        self.stamps += 1;
        self.stamps
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.events.len() as u64;
        (count > 0).then(|| self.random.below(count) as usize)
    }

    fn register(&mut self) -> Result<(), Error> {
        let free = (0..MOST).find(|slot| self.events.iter().all(|event| event.slot != *slot));
        let Some(slot) = free else { return Ok(()) };
        let (system, kernel, stamp) = (self.system, self.kernel, self.stamp());
        let id = with!(self.subject, context => {
            kernel.register(context.handle(), EACH, serving(system, slot, stamp))
        })?;
        let (filtered, deadline, time_out, timer, held) = (false, false, false, None, None);
        self.events.push(Event { id, slot, stamp, filtered, deadline, time_out, timer, held });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(at) = self.pick() else { return Ok(()) };
        let event = self.events.swap_remove(at);
        self.kernel.unregister(event.id)?;
        assert_eq!(self.kernel.activate(event.id, 1), Err(EventError::Stale));
        Ok(())
    }

    /// Gives a registration something, or takes it away.
    fn change(&mut self) -> Result<(), Error> {
        let Some(at) = self.pick() else { return Ok(()) };
        let (kernel, what) = (self.kernel, self.random.below(6));
        let event = &mut self.events[at];
        match what {
            0 => {
                event.deadline = !event.deadline;
                kernel.set_deadline(event.id, event.deadline.then_some(DEADLINE))?;
            }
            1 => {
                event.filtered = !event.filtered;
                match event.filtered {
                    true => kernel.filter(event.id, |count| count % 2 == 1)?,
                    false => kernel.lift_filter(event.id)?,
                }
            }
            2 => {
                event.time_out = !event.time_out;
                kernel.set_time_out(event.id, event.time_out.then_some(WITHIN))?;
            }
            3 if event.timer.is_none() => event.timer = Some(kernel.timer(event.id)?),
            4 if event.held.is_none() => {
                kernel.disable(event.id, DisabledPolicy::Keep)?;
                event.held = Some(0);
            }
            _ => {
                let levels = [Priority::LOW, Priority::DEFAULT, Priority::HIGH];
                let priority = levels[self.random.below(3) as usize];
                kernel.set_priority(event.id, priority)?;
            }
        }
        Ok(())
    }

    /// Sees whether a registration does what is known of it.
    fn look(&mut self) -> Result<(), Error> {
        let Some(at) = self.pick() else { return Ok(()) };
        let (slow, kernel) = (self.random.chance(30), self.kernel);
        let count = 1 + self.random.below(4) as u32;
        let what = self.random.below(4);
        // Another's time-out, which had to wait, may have missed its deadline by that.
        let others = self.events.iter().any(|event| event.deadline && event.time_out);
        let event = &mut self.events[at];
        let id = self.home.id();
        kernel.take_troubles(id)?;
        let passes = !event.filtered || count % 2 == 1;
        let before = COUNT[event.slot].load(Relaxed);
        SLOW.store(slow, Relaxed);
        kernel.activate(event.id, count)?;
        SLOW.store(false, Relaxed);
        let told = COUNT[event.slot].load(Relaxed) - before;
        if let Some(held) = &mut event.held {
            assert_eq!(told, 0, "a disabled handler ran");
            *held += if passes { count } else { 0 };
            if what == 0 {
                kernel.enable(event.id)?;
                let told = COUNT[event.slot].load(Relaxed) - before;
                assert_eq!(told, event.held.take().unwrap_or(0), "what was pending");
                event.ran(told);
            }
            return Ok(());
        }
        assert_eq!(told, if passes { count } else { 0 }, "what its filter lets in");
        event.ran(told);
        let missed = kernel.take_troubles(id)?.count(Trouble::DeadlineMissed);
        let late = if event.deadline && slow { told } else { 0 };
        assert!(missed == late || others && missed > late, "{missed} deadlines missed, not {late}");
        match (what, event.timer) {
            (1, _) if event.time_out => {
                kernel.activate(event.id, 1)?;
                let before = TIMED_OUT[event.slot].load(Relaxed);
                self.system.sleep(3 * WITHIN)?;
                assert_eq!(TIMED_OUT[event.slot].load(Relaxed), before + 1, "its time-out");
                event.ran(1);
            }
            (2, Some(timer)) => {
                let before = COUNT[event.slot].load(Relaxed);
                kernel.arm(timer, self.system.now() + WITHIN, None)?;
                self.system.sleep(2 * WITHIN)?;
                assert_eq!(COUNT[event.slot].load(Relaxed), before + 1, "its timer");
                event.ran(1);
            }
            _ => {}
        }
        Ok(())
    }

    fn replace<Old: Form, New: Form>(&mut self, context: Context<Old>) -> Result<(), Error>
    where
        Context<New>: Into<Subject>,
    {
        let (system, kernel) = (self.system, self.kernel);
        let left_out = self.pick();
        let plan = match (self.random.below(8), left_out) {
            (0, Some(_)) => Plan::Unnamed { ended: false },
            (1, Some(_)) => Plan::Unnamed { ended: true },
            (2, _) => Plan::Foreign,
            (3, _) => Plan::Declined,
            (4, _) => Plan::Failed,
            _ => Plan::Done,
        };
        let left_out = left_out.filter(|_| matches!(plan, Plan::Unnamed { .. }));
        let stamp = self.stamp();
        let mut replacement = system.replace::<New>(context).priority(Priority::HIGH);
        for (_, event) in self.events.iter().enumerate().filter(|(at, _)| Some(*at) != left_out) {
            replacement = replacement.bind(event.id, serving::<New>(system, event.slot, stamp));
        }
        if plan == Plan::Foreign {
            replacement = match self.random.chance(50) {
                true => replacement.bind(self.foreign, serving::<New>(system, LATE, 0)),
                false => replacement.end(self.foreign),
            };
        }
        // One may come that nobody could have named.
        let registers = plan != (Plan::Unnamed { ended: false }) && self.random.chance(25);
        if plan == (Plan::Unnamed { ended: true }) || registers {
            replacement = replacement.end_others();
        }
        let reaps = self.random.chance(35);
        let disturb = |it: &mut Self, timer| {
            let after = Duration::from_nanos(it.random.below(DISTURBED));
            kernel.arm(timer, system.now() + after, None)
        };
        MEANWHILE.store(NONE, Relaxed);
        if registers {
            disturb(self, self.registrar)?;
        }
        if reaps {
            disturb(self, self.reaper)?;
        }
        let submitted = replacement.submit(move |old: Old| {
            WRONG.fetch_add(u32::from(old.tag() != Old::TAG), Relaxed);
            match plan {
                Plan::Declined => Err(old),
                Plan::Failed => panic!("as planned"),
                _ => Ok(New::new()),
            }
        });
        let outcome = match submitted {
            Ok(pending) => pending.wait().map(|it| Context::from_handle(it, Priority::DEFAULT)),
            Err(Error::Event(error)) => Err(ReplaceError::Event(error)),
            Err(other) => return Err(other),
        };
        kernel.disarm(self.reaper)?;
        kernel.disarm(self.registrar)?;
        self.settle(plan, left_out, outcome)
    }

    /// Compares what a replacement came to with what it was to come to, and with what it has left.
    fn settle<New>(
        &mut self,
        plan: Plan,
        left_out: Option<usize>,
        outcome: Result<Context<New>, ReplaceError>,
    ) -> Result<(), Error>
    where
        Context<New>: Into<Subject>,
    {
        let (kernel, id) = (self.kernel, self.home.id());
        let died = kernel.failures(id)? - self.deaths;
        let late = MEANWHILE.load(Relaxed);
        let left_out_event = left_out.map(|at| self.events[at].id);
        self.outcomes[3] += u32::from(late != NONE);
        match outcome {
            Ok(context) => {
                assert!(matches!(plan, Plan::Done | Plan::Unnamed { ended: true }), "{plan:?}");
                self.outcomes[0] += 1;
                self.subject = context.into();
                if let Some(at) = left_out {
                    let ended = self.events.swap_remove(at);
                    assert_eq!(kernel.activate(ended.id, 1), Err(EventError::Stale));
                }
                let stamp = self.stamps;
                self.events.iter_mut().for_each(|event| event.stamp = stamp);
                // For a state of another type it cannot have outlived the replacement.
                if !matches!(self.subject, Subject::Small(_)) {
                    self.is_gone(late);
                }
            }
            Err(ReplaceError::Stopped) => {
                assert!(died > 0, "{plan:?}: stopped, and it lives");
                self.outcomes[2] += 1;
            }
            Err(refused) => {
                let expected = match plan {
                    Plan::Unnamed { ended: false } => left_out_event.map(ReplaceError::Unnamed),
                    Plan::Foreign => Some(ReplaceError::Event(EventError::Foreign)),
                    Plan::Declined => Some(ReplaceError::Declined),
                    _ => None,
                };
                // Or it was given up before the replacement had been submitted.
                assert!(Some(refused) == expected || died > 0, "{plan:?}: {refused}");
                self.outcomes[1] += 1;
            }
        }
        assert!(plan != Plan::Failed || died > 0);
        if died > 0 {
            self.is_gone(late);
            return self.live_again(died);
        }
        if late > REFUSED {
            // It has ended, unless it was registered with the state that is there.
            let _ = kernel.unregister(EventId::from_word(late));
        }
        Ok(())
    }

    /// What was registered meanwhile, if anything was, has ended.
    fn is_gone(&self, late: u64) {
        if late > REFUSED {
            let event = EventId::from_word(late);
            assert_eq!(self.kernel.activate(event, 1), Err(EventError::Stale));
        }
    }

    /// The context was given up: nothing of what it had is left, and it begins anew.
    fn live_again(&mut self, died: u64) -> Result<(), Error> {
        let kernel = self.kernel;
        self.deaths += died;
        while LIVES.load(Relaxed) <= self.deaths {
            self.system.sleep(BACKOFF)?;
        }
        for event in self.events.drain(..) {
            assert_eq!(kernel.activate(event.id, 1), Err(EventError::Stale));
        }
        self.subject = Subject::Small(self.home);
        let free = kernel.pool(self.home.handle())?.available();
        assert_eq!(*self.free.get_or_insert(free), free, "event memory was lost with it");
        Ok(())
    }
}

impl Event {
    /// Its handler has been told of so many occurrences: and none but its present handler.
    fn ran(&self, told: u32) {
        if told > 0 {
            assert_eq!(LAST[self.slot].load(Relaxed), self.stamp, "another's handler ran");
        }
    }
}

impl From<Context<Small>> for Subject {
    fn from(context: Context<Small>) -> Self {
        Self::Small(context)
    }
}

impl From<Context<Wide>> for Subject {
    fn from(context: Context<Wide>) -> Self {
        Self::Wide(context)
    }
}

impl From<Context<Boxed>> for Subject {
    fn from(context: Context<Boxed>) -> Self {
        Self::Boxed(context)
    }
}
