//! Contexts whose failure is not the image's: what becomes of what they had, and their restart.
//!
//! ```text
//!            constructed               fails                  cleaned up
//!   Down ───────────────▶ Up ────────────────────▶ Dying ──────────────────▶ Down
//!    ▲  restart, after a   (see `contain`)          the supervisor's steps    │
//!    └──────────────── back-off ◀─────────────────────────────────────────────┘
//! ```
//!
//! The supervisor is a context of the kernel's. It cleans up at the priority of the handler that
//! failed, in bounded steps, a section each, so that nobody of a higher priority notices. What a
//! dead context had is given back as follows:
//!
//! - its registrations end, and what their handlers have captured is dropped; but the handler that
//!   ran is forgotten, as is the state: in what condition they are nobody knows;
//! - its own boxes are reclaimed all at once; what it has lent stays taken until it comes back;
//! - values that the library OS held on its stack are rescued (`Kernel::rescued`);
//! - whoever keeps something for it is told (`Kernel::on_end`);
//! - what it took from the global heap is lost, and counted.
//!
//! What a handler has captured is application's code when it is dropped. When that fails too, the
//! supervisor itself is given up; it has no state, and goes on behind it.

use crate::bound::Handler;
use crate::dispatch::{CORE, activate_deferred, note};
use crate::exclude::{self, ContextSet};
use crate::guard::{self, Rescue};
use crate::local::Local;
use crate::policy::Origin;
use crate::registry::{self, ContextOptions};
use crate::report::{self, Obituary, Reason, Registers, Text};
use crate::runtime::Runtime;
use crate::section::section;
use crate::timer::{self, Due};
use crate::{birth, budget, contain, memory};
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt::Write;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex_event::{
    Context, ContextId, Error, EventId, Instant, Kernel, Priority, Registration, TimerId, Trouble,
};
use reflex_memory::Cursor;

/// What becomes of a context that fails: panics, faults, or exceeds its budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFailure {
    /// The image ends with a full report.
    Halt,
    /// The context is given up, and stays so until somebody restarts it.
    Ignore,
    /// The context is given up, and restarted after a while.
    Restart,
}

/// How long to wait before a restart: twice as long each time, but for one that follows on a life
/// longer than the longest wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The first wait; at least a millisecond.
    pub initial: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Backoff {
    /// From 10 ms to 10 s.
    pub const USUAL: Self =
        Self { initial: Duration::from_millis(10), longest: Duration::from_secs(10) };
}

impl Default for Backoff {
    fn default() -> Self {
        Self::USUAL
    }
}

const SHORTEST: Duration = Duration::from_millis(1);

/// A context's last failure.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// Which it is.
    pub context: ContextId,
    /// What it is called.
    pub name: &'static str,
    /// Why it was given up.
    pub reason: Reason,
    /// What it said, if it said something.
    pub text: Text,
    /// How often it has failed, this time included.
    pub failures: u32,
    /// Bytes of the global heap that were lost with it this time.
    pub lost: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Its constructor is being registered.
    Beginning,
    Up,
    Dying,
    Down,
}

/// How far the cleaning up has come.
#[derive(Clone, Copy)]
enum Phase {
    Tell,
    Readmit,
    Rescue,
    Unregister,
    Mourn,
    Reclaim(Cursor),
    Finish,
}

/// What is kept of a supervised context, for ever. Reached only in a section, or as each use says.
pub(crate) struct Supervision {
    /// The context's place: its name changes from one life of a cloner's child to the next.
    pub(crate) index: Cell<u16>,
    pub(crate) on_failure: Cell<OnFailure>,
    pub(crate) life: Cell<Life>,
    pub(crate) reason: Cell<Reason>,
    pub(crate) text: Cell<Text>,
    /// It is being told what it dies of.
    pub(crate) tells: Cell<bool>,
    /// What its handler ran for.
    pub(crate) event: Cell<Option<EventId>>,
    pub(crate) registers: Cell<Registers>,
    /// A handler to be forgotten.
    pub(crate) unfinished: Cell<Option<Handler>>,
    pub(crate) rescues: Cell<Option<NonNull<Rescue>>>,
    phase: Cell<Phase>,
    /// Its stack, without the reserve under it.
    pub(crate) stack: Range<usize>,
    /// Makes its state; `None` when it was given one and so cannot be restarted.
    pub(crate) constructor: Cell<Option<birth::Construct>>,
    /// The blocks of its state and of the cell that is in, when it was constructed.
    pub(crate) blocks: Cell<[Option<NonNull<()>>; 2]>,
    /// For its budget while it is up, and for its restart while it is down.
    pub(crate) timer: Cell<TimerId>,
    pub(crate) budget: budget::Budget,
    /// Bytes it has taken from the global heap, less those it has given back.
    heap: Cell<i64>,
    lost: Cell<u64>,
    failures: Cell<u32>,
    /// How often it has been given up, what is being cleaned up included.
    deaths: Cell<u32>,
    backoff: Cell<Backoff>,
    /// The next wait.
    wait: Cell<Duration>,
    since: Cell<Instant>,
    watcher: Cell<Option<EventId>>,
    /// The watcher has been told of the last failure.
    told: Cell<bool>,
}

impl Supervision {
    pub(crate) fn reserve(&self) -> Range<usize> {
        self.stack.start - contain::RESERVE..self.stack.start
    }

    /// The context's present name. The caller is in a section and has no borrow of the core.
    pub(crate) fn context(&self) -> ContextId {
        let index = self.index.get();
        // A context does not cease to exist.
        registry::name(index).unwrap_or(ContextId { index, generation: 0 })
    }

    fn obituary(&self) -> Obituary {
        let context = self.context();
        let name = registry::at(context).map_or("", |place| place.name);
        let (event, reason, text) = (self.event.get(), self.reason.get(), self.text.get());
        Obituary { context, name, event, reason, text }
    }
}

/// The supervisor's events, and who waits for it.
struct Supervisor {
    context: Option<Context<()>>,
    work: Option<EventId>,
    print: Option<EventId>,
    /// Contexts to be cleaned up.
    dying: ContextSet,
    /// Contexts to be restarted.
    due: ContextSet,
    /// Whose handlers' captures are being dropped.
    heir_of: Option<&'static Supervision>,
}

/// Reached only in a section.
static SUPERVISOR: Local<Supervisor> = Local::new(Supervisor {
    context: None,
    work: None,
    print: None,
    dying: ContextSet::NONE,
    due: ContextSet::NONE,
    heir_of: None,
});

/// The supervisor has been made, or is being made.
static MADE: AtomicBool = AtomicBool::new(false);

/// The supervisor itself has been given up, and nobody has been told.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Bytes of the global heap that were lost with contexts.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Steps of cleaning up before others of the same priority have their turn.
const STEPS: u32 = 32;

/// The lowest priority of cleaning up, and that of printing: `main` need not come to an end for it.
const LEAST: Priority = match Priority::new(1) {
    Some(priority) => priority,
    None => unreachable!(),
};

/// How long what a handler has captured may take to be dropped.
const PATIENCE: Duration = Duration::from_millis(100);

/// Makes what is kept of a context that is to be made with `options`, if anything is.
pub(crate) fn prepare(
    options: &ContextOptions,
    stack: Range<usize>,
) -> Result<Option<&'static Supervision>, Error> {
    let ContextOptions { on_failure, backoff, policy, .. } = *options;
    if !options.is_supervised() {
        return Ok(None);
    }
    let backoff = Backoff { initial: backoff.initial.max(SHORTEST), ..backoff };
    let supervision: &'static Supervision = Box::leak(Box::new(Supervision {
        index: Cell::new(u16::MAX),
        on_failure: Cell::new(on_failure),
        life: Cell::new(Life::Up),
        reason: Cell::new(Reason::Requested),
        text: Cell::new(Text::EMPTY),
        tells: Cell::new(false),
        event: Cell::new(None),
        registers: Cell::new(Registers::NONE),
        unfinished: Cell::new(None),
        rescues: Cell::new(None),
        phase: Cell::new(Phase::Tell),
        stack,
        constructor: Cell::new(None),
        blocks: Cell::new([None; 2]),
        // Another's, until this one has been made: the two name each other.
        timer: Cell::new(TimerId { index: 0, generation: 0 }),
        budget: budget::Budget::new(policy.budget),
        heap: Cell::new(0),
        lost: Cell::new(0),
        failures: Cell::new(0),
        deaths: Cell::new(0),
        backoff: Cell::new(backoff),
        wait: Cell::new(backoff.initial),
        since: Cell::new(timer::now()),
        watcher: Cell::new(None),
        told: Cell::new(true),
    }));
    supervision.timer.set(timer::with_room(|| timer::add(Due::Life(supervision)))?);
    Ok(Some(supervision))
}

/// Makes the supervisor, unless there is one. A cold path.
pub(crate) fn ensure() -> Result<(), Error> {
    if MADE.swap(true, Relaxed) {
        return Ok(());
    }
    let made = make(Runtime::KERNEL);
    if made.is_err() {
        MADE.store(false, Relaxed);
    }
    made
}

fn make(kernel: Runtime) -> Result<(), Error> {
    let mut options = ContextOptions { memory: 4 << 10, ..ContextOptions::new("supervisor") };
    options.origin = Origin::System;
    options.on_failure = OnFailure::Ignore;
    options.policy.budget = Some(PATIENCE);
    let context = registry::add(options, ())?;
    let registration = Registration { priority: LEAST, ..Registration::default() };
    let work = kernel.register(context, registration, |(), _| work())?;
    let print = kernel.register(context, registration, |(), _| {
        if report::print() {
            section(|| activate(|supervisor| supervisor.print));
        }
    })?;
    section(|| {
        // SAFETY: in a section, and the borrow ends in it.
        let supervisor = unsafe { SUPERVISOR.get() };
        supervisor.context = Some(context);
        (supervisor.work, supervisor.print) = (Some(work), Some(print));
        // Somebody may have failed meanwhile.
        activate(|supervisor| supervisor.work);
    });
    Ok(())
}

/// Activates one of the supervisor's events, if there is one. The caller is in a section.
fn activate(which: impl FnOnce(&Supervisor) -> Option<EventId>) {
    // SAFETY: in a section, and the borrow ends in this statement.
    if let Some(event) = which(unsafe { SUPERVISOR.get() }) {
        // It is registered for good; an overrun means that it is about to run.
        let _ = activate_deferred(event, 1);
    }
}

/// What is kept of a context that may be registered with. The caller is in a section.
///
/// # Errors
/// [`Error::Busy`] when it has been given up and not been restarted.
pub(crate) fn living(context: ContextId) -> Result<Option<&'static Supervision>, Error> {
    let supervision = registry::supervision(context)?;
    match supervision.map(|supervision| supervision.life.get()) {
        Some(Life::Dying | Life::Down) => Err(Error::Busy),
        _ => Ok(supervision),
    }
}

/// How often a context has been given up. The caller is in a section.
pub(crate) fn deaths(context: ContextId) -> Result<u32, Error> {
    Ok(registry::supervision(context)?.map_or(0, |supervision| supervision.deaths.get()))
}

/// Whether a context is the supervisor. The caller is in a section.
pub(crate) fn is_supervisor(context: ContextId) -> bool {
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.context.is_some_and(|supervisor| supervisor.id() == context)
}

/// Says what has become of the supervisor itself, which goes on.
fn tell_own_failure() {
    // SAFETY: in a section, and the borrow ends in it.
    let context = section(|| unsafe { SUPERVISOR.get() }.context);
    let own = context.map(|context| section(|| registry::supervision(context.id())));
    if let Some(Ok(Some(own))) = own {
        log::error!("{}", section(|| own.obituary()));
        own.tells.set(false);
    }
}

/// The supervisor has been given up, and is to go on. The caller is in a section.
pub(crate) fn go_on() {
    FAILED.store(true, Relaxed);
    // SAFETY: in a section, and the borrow ends in this statement.
    let context = unsafe { SUPERVISOR.get() }.context;
    if let Some(context) = context
        && let Ok((_, state)) = registry::parts(context.id())
        && let Some(cell) = state.downcast::<()>()
    {
        // SAFETY: the cell lives for ever; nobody is at it, as no handler of the context runs.
        unsafe { cell.as_ref() }.put(Box::leak(Box::new(())));
    }
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { SUPERVISOR.get() }.heir_of = None;
    activate(|supervisor| supervisor.work);
    activate(|supervisor| supervisor.print);
}

/// A context has been given up: it is to be cleaned up, at `priority`. The caller is in a section.
pub(crate) fn bury(supervision: &'static Supervision, priority: Priority) {
    supervision.phase.set(Phase::Tell);
    supervision.deaths.set(supervision.deaths.get().wrapping_add(1));
    // SAFETY: in a section, and the borrows end in it.
    let (supervisor, core) = unsafe { (SUPERVISOR.get(), CORE.get()) };
    supervisor.dying.insert(supervision.index.get());
    let _ = timer::disarm(supervision.timer.get());
    if let Some(work) = supervisor.work
        && let Ok(info) = core.look_up(work)
        && (info.pending == 0 && !info.runs || priority > info.registration.priority)
        && let Ok(outcome) = core.set_priority(work, priority.max(LEAST))
    {
        note(outcome);
    }
    activate(|supervisor| supervisor.work);
}

/// The supervisor's work: some steps of cleaning up, and restarts.
fn work() {
    if FAILED.swap(false, Relaxed) {
        tell_own_failure();
    }
    for _ in 0..STEPS {
        let next = section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let supervisor = unsafe { SUPERVISOR.get() };
            let first = |set: ContextSet| set.indices().next();
            first(supervisor.dying)
                .map(|index| (index, false))
                .or_else(|| first(supervisor.due).map(|index| (index, true)))
                .map(|(index, due)| {
                    if due {
                        supervisor.due.remove(index);
                    }
                    (index, due)
                })
        });
        let Some((index, due)) = next else { return };
        let supervision = section(|| registry::name(index).and_then(registry::supervision));
        let Ok(Some(supervision)) = supervision else { continue };
        // What goes wrong here is the kernel's own, but for what is called unguarded.
        guard::guarded(|| if due { birth::begin(supervision) } else { supervision.step() });
    }
    section(|| activate(|supervisor| supervisor.work));
}

impl Supervision {
    /// Does a bounded piece of the cleaning up.
    fn step(&'static self) {
        let context = section(|| self.context());
        let next = match self.phase.get() {
            Phase::Tell => {
                self.tell();
                Phase::Readmit
            }
            Phase::Readmit => match section(|| exclude::readmit_one(context)) {
                true => Phase::Readmit,
                false => Phase::Rescue,
            },
            Phase::Rescue => match self.rescues.take() {
                Some(node) => {
                    // SAFETY: the context has been given up, and the node is off the list.
                    self.rescues.set(unsafe { Rescue::carry_out(node) });
                    Phase::Rescue
                }
                None => Phase::Unregister,
            },
            Phase::Unregister => self.unregister(context),
            Phase::Mourn => match section(|| registry::at(context).ok()?.next_mourner()) {
                Some(event) => {
                    // Nobody registered any more is nobody to be told.
                    let _ = section(|| activate_deferred(event, 1));
                    Phase::Mourn
                }
                None => Phase::Reclaim(Cursor::default()),
            },
            Phase::Reclaim(cursor) => {
                let pool = section(|| registry::parts(context)).map(|(pool, _)| pool);
                // SAFETY: the context has been given up: nothing of its code goes on, and its
                // stack and its state are never looked at again. Its handlers' captures are
                // `Send`, so that no box of its own was among them.
                match pool.ok().and_then(|pool| unsafe { pool.reclaim(cursor) }) {
                    Some(cursor) => Phase::Reclaim(cursor),
                    None => Phase::Finish,
                }
            }
            Phase::Finish => return self.finish(),
        };
        self.phase.set(next);
    }

    /// Says what has happened.
    fn tell(&'static self) {
        let obituary = section(|| self.obituary());
        log::error!("{obituary}");
        if report::take(obituary, self.registers.get(), &self.stack) {
            section(|| activate(|supervisor| supervisor.print));
        }
    }

    /// Ends one registration.
    fn unregister(&'static self, context: ContextId) -> Phase {
        let Ok((pool, _)) = section(|| registry::parts(context)) else { return Phase::Finish };
        if let Some(handler) = self.unfinished.take() {
            // SAFETY: it was being called, or dropped, by somebody who does not go on. What it
            // has captured is forgotten.
            unsafe {
                section(|| handler.drop_extras(pool));
                handler.free(pool);
            }
            return Phase::Unregister;
        }
        let ended = section(|| {
            // SAFETY: in a section, and the borrow ends in it.
            let core = unsafe { CORE.get() };
            let event = core.first_of(context).ok().flatten()?;
            let handler = core.unregister(event).ok()?.handler;
            if let Some(handler) = handler {
                self.unfinished.set(Some(handler));
                // SAFETY: the core gave it back, so it does not run and is never called again.
                unsafe { handler.drop_extras(pool) };
            }
            Some(handler)
        });
        match ended {
            None => Phase::Mourn,
            Some(None) => Phase::Unregister,
            Some(Some(handler)) => {
                set_heir_of(Some(self));
                // SAFETY: as above. When this does not come to its end, the rest is forgotten.
                guard::unguarded(|| unsafe { handler.drop_captured() });
                set_heir_of(None);
                self.unfinished.set(None);
                // SAFETY: as above.
                unsafe { handler.free(pool) };
                Phase::Unregister
            }
        }
    }

    /// Everything has been given back but the state.
    fn finish(&'static self) {
        let context = section(|| self.context());
        let pool = section(|| registry::parts(context)).map(|(pool, _)| pool);
        for block in self.blocks.take().into_iter().flatten() {
            if let Ok(pool) = pool {
                // SAFETY: the block was a leaked one's, of the state or its cell, which nobody
                // looks at again: the context has no handlers. What is in it is forgotten.
                unsafe { registry::free_block(block, pool) };
            }
        }
        memory::close_reserve(self.reserve());
        section(|| {
            if self.constructor.get().is_some() {
                registry::forget_state(context);
            }
            let lost = self.heap.take().max(0) as u64;
            LOST.fetch_add(lost, Relaxed);
            self.lost.set(lost);
            // SAFETY: in a section, and the borrow ends in this statement.
            unsafe { SUPERVISOR.get() }.dying.remove(context.index);
            self.failed();
        });
        // A cloner's child is not restarted: it waits to be made again.
        let member = section(|| registry::at(context).ok()?.member);
        if let Some(member) = member {
            let _ = timer::disarm(self.timer.get());
            self.life.set(Life::Beginning);
            // SAFETY: nothing of the context goes on, as said above.
            match unsafe { member.restore() } {
                Ok(_) => section(|| self.born()),
                Err(error) => section(|| self.refused(error)),
            }
        }
    }

    /// Gives up a context that has not come up at all. The caller is in a section.
    pub(crate) fn refused(&'static self, error: Error) {
        let mut text = Text::EMPTY;
        let _ = write!(text, "{error}");
        self.reason.set(Reason::Refused);
        self.text.set(text);
        self.event.set(None);
        log::error!("{}", self.obituary());
        self.failed();
    }

    /// The context has failed, and is down. The caller is in a section.
    fn failed(&'static self) {
        self.life.set(Life::Down);
        self.tells.set(false);
        self.failures.set(self.failures.get().saturating_add(1));
        self.told.set(false);
        if self.on_failure.get() == OnFailure::Restart {
            self.restart_later();
        }
        self.inform();
    }

    /// Sets the timer for the restart. The caller is in a section.
    fn restart_later(&'static self) {
        let Backoff { initial, longest } = self.backoff.get();
        let now = timer::now();
        let wait = if now.since(self.since.get()) > longest.max(initial) {
            initial
        } else {
            self.wait.get()
        };
        self.wait.set(wait.saturating_mul(2).min(longest.max(initial)));
        // The timer is the context's for good.
        let _ = timer::arm(self.timer.get(), now + wait, None);
    }

    /// Tells the watcher, if there is one. The caller is in a section.
    fn inform(&'static self) {
        if self.told.get() {
            return;
        }
        let Some(watcher) = self.watcher.get() else { return };
        // SAFETY: in a section, and the borrow ends in this statement.
        let Ok(info) = unsafe { CORE.get() }.look_up(watcher) else { return };
        self.told.set(true);
        let _ = activate_deferred(watcher, 1);
        // The watcher's context exists, since its registration does.
        let _ = Runtime::KERNEL.report(info.context, Trouble::HandlerStopped);
    }

    /// The context's timer has gone off. The caller is in a section.
    pub(crate) fn due(&'static self) {
        match self.life.get() {
            Life::Up => budget::tick(self),
            Life::Beginning | Life::Dying => {}
            Life::Down => {
                // SAFETY: in a section, and the borrow ends in this statement.
                unsafe { SUPERVISOR.get() }.due.insert(self.index.get());
                activate(|supervisor| supervisor.work);
            }
        }
    }

    /// The context's cell and state are others now.
    pub(crate) fn replaced(&self, blocks: [NonNull<()>; 2]) {
        // Of those that are not restarted nothing is noted.
        if self.constructor.get().is_some() {
            self.blocks.set(blocks.map(Some));
        }
    }

    /// A new life begins. The caller is in a section.
    pub(crate) fn born(&self) {
        self.life.set(Life::Up);
        self.since.set(timer::now());
        self.heap.set(0);
    }
}

/// Says whose captures the supervisor drops.
fn set_heir_of(dead: Option<&'static Supervision>) {
    // SAFETY: in a section, and the borrow ends in it.
    section(|| unsafe { SUPERVISOR.get() }.heir_of = dead);
}

/// The running context has taken `bytes` from the global heap, or given them back if that is less
/// than 0. The caller is in a section.
pub fn account_heap(bytes: i64) {
    if !MADE.load(Relaxed) {
        return;
    }
    // SAFETY: in a section, and the borrow ends in it: the core takes no memory from the heap
    // once the kernel has been started.
    let core = unsafe { CORE.get() };
    let Some(context) = core.running() else { return };
    // What a guarded call takes is not the context's.
    if core.machine(context).guards != 0 {
        return;
    }
    if let Ok(Some(mut supervision)) = registry::supervision(context) {
        if is_supervisor(context) {
            // What it gives back was the dead one's.
            // SAFETY: in a section, and the borrow ends in this statement.
            supervision = unsafe { SUPERVISOR.get() }.heir_of.unwrap_or(supervision);
        }
        supervision.heap.set(supervision.heap.get() + bytes);
    }
}

/// Bytes of the global heap that were lost with contexts that were given up: what they had taken
/// in their own handlers, less what they had given back.
pub fn lost_heap() -> u64 {
    LOST.load(Relaxed)
}

impl Runtime {
    /// From now on `event` is activated whenever a context has failed and been cleaned up; at once
    /// if it is down and nobody has been told. The context of `event` is also told of
    /// [`Trouble::HandlerStopped`].
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's.
    pub fn watch(self, context: ContextId, event: EventId) -> Result<(), Error> {
        section(|| {
            let supervision = registry::supervision(context)?.ok_or(Error::NotAllowed)?;
            supervision.watcher.set(Some(event));
            if supervision.life.get() == Life::Down {
                // Whoever was told may have failed while it was at it.
                let waits = supervision.on_failure.get() == OnFailure::Ignore;
                supervision.told.set(supervision.told.get() && !waits);
                supervision.inform();
            }
            Ok(())
        })
    }

    /// The last failure of a context.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's, or it has not
    /// failed.
    pub fn stopped(self, context: ContextId) -> Result<Stopped, Error> {
        section(|| {
            let supervision = registry::supervision(context)?.ok_or(Error::NotAllowed)?;
            let failures = supervision.failures.get();
            if failures == 0 {
                return Err(Error::NotAllowed);
            }
            let Obituary { context, name, reason, text, .. } = supervision.obituary();
            Ok(Stopped { context, name, reason, text, failures, lost: supervision.lost.get() })
        })
    }

    /// Restarts a context that is down, after its back-off.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when it cannot be restarted, as it has no
    /// constructor; [`Error::Busy`] when it is not down.
    pub fn restart(self, context: ContextId) -> Result<(), Error> {
        section(|| {
            let supervision = registry::supervision(context)?.ok_or(Error::NotAllowed)?;
            if supervision.constructor.get().is_none() {
                return Err(Error::NotAllowed);
            }
            if supervision.life.get() != Life::Down {
                return Err(Error::Busy);
            }
            supervision.restart_later();
            Ok(())
        })
    }

    /// Gives a context up as if it had failed.
    ///
    /// # Errors
    /// [`Error::NoContext`]; [`Error::NotAllowed`] when its failure is the image's.
    pub fn give_up(self, context: ContextId) -> Result<(), Error> {
        section(|| contain::request(context))
    }
}
