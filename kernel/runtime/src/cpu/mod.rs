//! What the kernel keeps for a core: one block, which the core owns.
//!
//! There is one core, and so one block. With more of them each has its own, and [`this`] is what
//! finds it: nothing else knows where it lies, but for the two words that the entry in `switch`, which is
//! in assembly, reaches by their places in it. Shared by all cores are the machine's memory as far as it
//! has not been given out (see [`crate::dispatch::memory`]), and the numbers of states.
//!
//! All of it is zero at the start, so that it takes no room in the image; what is not to be zero is
//! set by [`init`](crate::init).

pub(crate) mod alarm;
pub(crate) mod attempt;
pub(crate) mod attributes;
pub(crate) mod borrow;
pub(crate) mod bound;
pub(crate) mod budget;
pub(crate) mod contain;
pub(crate) mod context;
pub(crate) mod deferral;
pub(crate) mod filter_stacks;
pub(crate) mod generator;
pub(crate) mod handler;
pub(crate) mod home;
pub(crate) mod job;
pub(crate) mod line;
pub(crate) mod local;
pub(crate) mod loose;
#[cfg(feature = "measure")]
pub(crate) mod measured;
pub(crate) mod options;
pub(crate) mod reason;
pub(crate) mod registers;
pub(crate) mod report;
pub(crate) mod retired;
pub(crate) mod runtime;
pub(crate) mod scope;
pub(crate) mod set;
pub(crate) mod stack;
pub(crate) mod supervision;
pub(crate) mod supervisor;
pub(crate) mod timers;
pub(crate) mod upcalls;
pub(crate) mod workers;

use alarm::Alarm;
use alloc::vec::Vec;
use attempt::UnderWay;
use context::ContextBlock;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
use deferral::Deferral;
use filter_stacks::FilterStacks;
use generator::Generator;
use handler::EventCore;
use home::Quarantine;
use job::{Job, Work};
use line::{Line, PendingSignal, PendingSignals};
use local::{Fixed, LateInit, Local, LocalCell};
use reflex_arch::apic::LocalApic;
use reflex_arch::clock::Clock;
use reflex_arch::interrupt::VECTORS;
use reflex_event::{MOST_NAMES, Names};
use reflex_hil::Watchdog;
use reflex_timer::Wheel;
use report::{Print, Report};
use scope::Scopes;
use set::{ContextSet, MOST_CONTEXTS};
use stack::{IdleStack, StackSource};
use supervisor::Supervisor;
use timers::Due;
use upcalls::Upcalls;

/// What belongs to one core.
///
/// A [`Local`], a [`LateInit`] and a [`LocalCell`] are reached in sections of their core. Atomics are
/// reached at any time, by interrupts of it too.
pub(crate) struct Cpu {
    /// How many sections are open, and what waits for the outermost one to end.
    pub(crate) deferral: Deferral,
    /// How many values of the core are borrowed.
    #[cfg(debug_assertions)]
    pub(crate) borrows: AtomicU32,

    /// What lower parts have upper ones do.
    pub(crate) upcalls: Fixed<Upcalls>,
    /// The event system's state.
    pub(crate) core: LateInit<EventCore>,
    /// Every context, by its index. It never moves, as all its room is reserved at the start.
    /// Pointers, since a place is too large to be put in there in a section.
    pub(crate) places: LateInit<Vec<&'static ContextBlock>>,
    /// What is open where no context runs: at start-up, and in a job while idle.
    pub(crate) no_context: Local<Scopes>,
    /// The stack without a context.
    pub(crate) idle_stack: Fixed<IdleStack>,
    /// Makes stacks.
    pub(crate) stacks: Fixed<StackSource>,

    /// The work of each job.
    pub(crate) jobs: Local<[Option<Work>; job::MOST]>,
    /// The work of the last job.
    pub(crate) last_job: Fixed<fn()>,
    /// The bit of the job that ran last.
    pub(crate) latest_job: LocalCell<u64>,

    /// What each vector does. Written with interrupts masked, used in interrupt context.
    pub(crate) lines: Local<[Line; VECTORS]>,
    /// The places of signals.
    pub(crate) pending_signals: Local<PendingSignals>,
    /// The newest slot with firings to deliver.
    pub(crate) newest: AtomicPtr<PendingSignal>,
    /// The job that delivers them.
    pub(crate) interrupt_queue: Fixed<Job>,

    /// The time stamp counter's meaning.
    pub(crate) clock: Fixed<Clock>,
    /// The interrupt controller.
    pub(crate) apic: Fixed<LocalApic>,
    /// The time stamp counter when the kernel was started.
    pub(crate) origin: Fixed<u64>,
    /// The timers.
    pub(crate) timers: LateInit<Wheel<Due>>,
    /// The job that expires them.
    pub(crate) timer_job: Fixed<Job>,
    /// When the timer's interrupt comes.
    pub(crate) alarm: Alarm,
    /// What resets the machine when the kernel stands still.
    pub(crate) watchdog: Local<Option<&'static mut dyn Watchdog>>,
    /// When the present halt began; 0 when not halted.
    pub(crate) halted_since: AtomicU64,
    /// Time stamp counts spent halted.
    pub(crate) halted: AtomicU64,

    /// The names of kinds of events.
    pub(crate) kinds: LateInit<Names>,
    /// The names of protected sections, and the contexts that may not interrupt them.
    pub(crate) protected: LateInit<(Names, [ContextSet; MOST_NAMES])>,

    /// The innermost call that can be given up: they are all on one stack.
    pub(crate) attempt: LocalCell<Option<UnderWay>>,
    /// The stacks of such calls.
    pub(crate) filter_stacks: Local<FilterStacks>,
    /// Contexts to be given up as soon as no guarded call is open on their stacks.
    pub(crate) pending_kills: LocalCell<ContextSet>,
    /// Where each context's reserve begins; 0 without one. Written once each, and read where nothing
    /// may be locked.
    pub(crate) reserves: [AtomicUsize; MOST_CONTEXTS],
    /// The context that used up its stack in kernel code, plus 1.
    pub(crate) overflowed: AtomicU32,
    /// The supervisor's events, and the contexts that wait for it.
    pub(crate) supervisor: Local<Supervisor>,
    /// The supervisor has been made, or is being made.
    pub(crate) supervisor_made: AtomicBool,
    /// The supervisor itself has been given up, and nobody has been told.
    pub(crate) supervisor_failed: AtomicBool,
    /// Bytes of the global heap that were lost with contexts.
    pub(crate) lost: AtomicU64,
    /// How much memory is not used again.
    pub(crate) quarantine: LocalCell<Quarantine>,
    /// A stack that is ready for when the supervisor itself is given up.
    pub(crate) spare: LocalCell<Option<(usize, usize)>>,
    /// The report that is being printed.
    pub(crate) report: LateInit<Option<Report>>,
    /// The words of the report's stack.
    pub(crate) report_stack: Local<[u64; report::WORDS]>,
    /// Prints a line.
    pub(crate) print: Fixed<Print>,
    /// Ends the image after a panic.
    #[cfg(feature = "hosted")]
    pub(crate) crash: Fixed<contain::Crash>,

    /// The generator of random numbers.
    pub(crate) generator: Local<Option<Generator>>,
    /// The longest sections.
    #[cfg(feature = "measure")]
    pub(crate) measured: measured::Measured,
}

/// The block of the one core. Reached by [`this`], and by the entry in `switch`.
pub(crate) static BLOCK: Cpu = Cpu::new();

impl Cpu {
    /// A core before the kernel's start.
    const fn new() -> Self {
        Self {
            deferral: Deferral::new(),
            #[cfg(debug_assertions)]
            borrows: AtomicU32::new(0),
            upcalls: Fixed::new(),
            core: LateInit::new(),
            places: LateInit::new(),
            no_context: Local::new(Scopes::NONE),
            idle_stack: Fixed::new(),
            stacks: Fixed::new(),
            jobs: Local::new([None; job::MOST]),
            last_job: Fixed::new(),
            latest_job: LocalCell::new(0),
            lines: Local::new([const { Line::FREE }; VECTORS]),
            pending_signals: Local::new(PendingSignals::NONE),
            newest: AtomicPtr::new(null_mut()),
            interrupt_queue: Fixed::new(),
            clock: Fixed::new(),
            apic: Fixed::new(),
            origin: Fixed::new(),
            timers: LateInit::new(),
            timer_job: Fixed::new(),
            alarm: Alarm::new(),
            watchdog: Local::new(None),
            halted_since: AtomicU64::new(0),
            halted: AtomicU64::new(0),
            kinds: LateInit::new(),
            protected: LateInit::new(),
            attempt: LocalCell::new(None),
            filter_stacks: Local::new(FilterStacks::new()),
            pending_kills: LocalCell::new(ContextSet::NONE),
            reserves: [const { AtomicUsize::new(0) }; MOST_CONTEXTS],
            overflowed: AtomicU32::new(0),
            supervisor: Local::new(Supervisor::NONE),
            supervisor_made: AtomicBool::new(false),
            supervisor_failed: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            quarantine: LocalCell::new(Quarantine::NONE),
            spare: LocalCell::new(None),
            report: LateInit::new(),
            report_stack: Local::new([0; report::WORDS]),
            print: Fixed::new(),
            #[cfg(feature = "hosted")]
            crash: Fixed::new(),
            generator: Local::new(None),
            #[cfg(feature = "measure")]
            measured: measured::Measured::new(),
        }
    }
}

/// The block of the core that this runs on.
#[inline(always)]
pub(crate) fn this() -> &'static Cpu {
    #[cfg(feature = "hosted")]
    if !reflex_arch::hosted::processor::is_own() {
        panic!("no simulated machine runs on this thread");
    }
    &BLOCK
}

/// What the block is before the kernel's start: what a simulated core's is made anew from. It is never changed.
#[cfg(feature = "hosted")]
pub(crate) static FRESH: Cpu = Cpu::new();
