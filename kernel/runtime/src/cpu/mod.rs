//! What the kernel keeps for a core: one block, which the core owns.
//!
//! Each core has a block of its own, and [`this`] is what finds it: by the [words](core_words) that the core
//! has at hand, among which are how many sections are open and what waits for them ([`deferral`]). Nothing
//! else knows where it lies. What all cores share is in [`shared`]; and they share the machine's memory as far as it
//! has not been given out (see [`crate::dispatch::memory`]), the numbers of states, and [which cores](cores) there are.
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
pub(crate) mod cores;
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
pub(crate) mod message;
pub(crate) mod options;
pub(crate) mod own;
pub(crate) mod reason;
pub(crate) mod registers;
pub(crate) mod report;
pub(crate) mod retired;
pub(crate) mod runtime;
pub(crate) mod scope;
pub(crate) mod set;
pub(crate) mod shared;
pub(crate) mod stack;
pub(crate) mod supervision;
pub(crate) mod supervisor;
pub(crate) mod timers;
pub(crate) mod upcalls;
pub(crate) mod workers;

use alloc::vec::Vec;
use attempt::UnderWay;
use context::ContextBlock;
use core::mem::offset_of;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
use filter_stacks::FilterStacks;
use generator::Generator;
use handler::EventCore;
use job::{Job, Work};
use line::{Line, PendingSignal, PendingSignals};
use local::{Fixed, LateInit, Local, LocalCell};
use message::{Calls, Neighbour};
use reflex_arch::core_words::{self, CoreWords};
use reflex_arch::interrupt::VECTORS;
use reflex_event::{MOST_CORES, MOST_NAMES};
use reflex_hil::Watchdog;
use report::{Print, Report};
use scope::Scopes;
use set::{ContextSet, MOST_CONTEXTS};
use stack::{IdleStack, StackSource};
use supervisor::Supervisor;
use timers::Clockwork;
use upcalls::Upcalls;

/// What belongs to one core.
///
/// A [`Local`], a [`LateInit`] and a [`LocalCell`] are reached in sections of their core. Atomics are
/// reached at any time, by interrupts of it too.
#[repr(C)]
pub(crate) struct Cpu {
    /// The event system's state. First: where it is, is where the block is.
    pub(crate) core: LateInit<EventCore>,
    /// How many values of the core are borrowed.
    #[cfg(debug_assertions)]
    pub(crate) borrows: AtomicU32,

    /// What lower parts have upper ones do.
    pub(crate) upcalls: Fixed<Upcalls>,
    /// The most registrations there may be.
    pub(crate) most_events: Fixed<usize>,
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

    /// What it tells time by.
    pub(crate) clockwork: Clockwork,
    /// What resets the machine when the kernel stands still.
    pub(crate) watchdog: Local<Option<&'static mut dyn Watchdog>>,
    /// When the present halt began; 0 when not halted.
    pub(crate) halted_since: AtomicU64,
    /// Time stamp counts spent halted.
    pub(crate) halted: AtomicU64,

    /// The contexts that may not interrupt each protected section.
    pub(crate) protected: LateInit<[ContextSet; MOST_NAMES]>,

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

    /// What it has to do with each other core, by that one's number; null without one.
    pub(crate) neighbours: [AtomicPtr<Local<Neighbour>>; MOST_CORES as usize],
    /// What other cores have asked for.
    pub(crate) calls: LateInit<Calls>,

    /// The generator of random numbers.
    pub(crate) generator: Local<Option<Generator>>,
    /// The longest sections.
    #[cfg(feature = "measure")]
    pub(crate) measured: measured::Measured,
}

/// The first core's block: reached by its words.
static BLOCK: Cpu = Cpu::new();

/// The first core's words, under the name that [`core_words`] knows them by.
#[unsafe(export_name = "reflex_core_words")]
pub(crate) static WORDS: CoreWords = CoreWords::new(0, (&raw const BLOCK).cast());

/// The words and the block of a core that is not the first, in one piece of memory.
pub(crate) struct CoreMemory {
    words: CoreWords,
    block: Cpu,
}

impl CoreMemory {
    /// Makes what the core `number` owns, as it is before the kernel's start, in `place`.
    ///
    /// # Safety
    /// `place` is valid for writes, aligned, and nobody's, for ever.
    pub(crate) unsafe fn make(
        place: NonNull<Self>,
        number: u32,
    ) -> (&'static CoreWords, &'static Cpu) {
        let place = place.as_ptr();
        // SAFETY: the caller's duty. A constant, so that nothing of that size is on the stack.
        unsafe {
            (&raw mut (*place).block).write(const { Cpu::new() });
            let block = (&raw const (*place).block).cast();
            (&raw mut (*place).words).write(CoreWords::new(number, block));
            (&(*place).words, &(*place).block)
        }
    }
}

impl Cpu {
    /// A core before the kernel's start.
    const fn new() -> Self {
        Self {
            core: LateInit::new(),
            #[cfg(debug_assertions)]
            borrows: AtomicU32::new(0),
            upcalls: Fixed::new(),
            most_events: Fixed::new(),
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
            clockwork: Clockwork::new(),
            watchdog: Local::new(None),
            halted_since: AtomicU64::new(0),
            halted: AtomicU64::new(0),
            protected: LateInit::new(),
            attempt: LocalCell::new(None),
            filter_stacks: Local::new(FilterStacks::new()),
            pending_kills: LocalCell::new(ContextSet::NONE),
            reserves: [const { AtomicUsize::new(0) }; MOST_CONTEXTS],
            overflowed: AtomicU32::new(0),
            supervisor: Local::new(Supervisor::NONE),
            supervisor_made: AtomicBool::new(false),
            supervisor_failed: AtomicBool::new(false),
            spare: LocalCell::new(None),
            report: LateInit::new(),
            report_stack: Local::new([0; report::WORDS]),
            print: Fixed::new(),
            #[cfg(feature = "hosted")]
            crash: Fixed::new(),
            neighbours: [const { AtomicPtr::new(null_mut()) }; MOST_CORES as usize],
            calls: LateInit::new(),
            generator: Local::new(None),
            #[cfg(feature = "measure")]
            measured: measured::Measured::new(),
        }
    }
}

/// The block of the core that this runs on.
#[inline(always)]
pub(crate) fn this() -> &'static Cpu {
    own::assert();
    // SAFETY: the words of each core are made with the address of its block, which lives for ever and is only
    // borrowed as shared.
    unsafe { &*core_words::block().cast() }
}

/// The timers of the core that this runs on, and what tells of them: [`this`] for code that uses them alone, and
/// has no register to spare for where the rest is.
#[inline(always)]
pub(crate) fn clockwork() -> &'static Clockwork {
    own::assert();
    // SAFETY: as in `this`; that is where they are in the block.
    unsafe { &*core_words::part::<{ offset_of!(Cpu, clockwork) }>().cast() }
}

/// Makes the block and the words what they are before the kernel's start, for a simulated core that is begun with anew.
///
/// # Safety
/// Nothing goes on of what has had references to what is in the block.
#[cfg(feature = "hosted")]
pub(crate) unsafe fn renew() {
    /// Never changed.
    static FRESH: Cpu = Cpu::new();
    // SAFETY: all of a block is cells and atomics, which may be written through a shared reference; the rest is
    // the caller's duty.
    unsafe { (&raw const BLOCK).cast_mut().copy_from_nonoverlapping(&raw const FRESH, 1) };
    WORDS.reset();
}
