//! The cores that run: which of them this is, whether there are others, and how they are reached.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use reflex_arch::apic::LocalApic;
use reflex_arch::clock::Clock;
use reflex_arch::processors::MOST;
use reflex_arch::segments;

/// Other cores have been started, or are being started.
static SEVERAL: AtomicBool = AtomicBool::new(false);

/// Whether other cores may run. Once it is so, it stays so.
#[inline(always)]
pub(crate) fn several() -> bool {
    SEVERAL.load(Relaxed)
}

/// The number of the core that this runs on; 0 as long as it is the only one, when the segments that tell it may not
/// have been loaded yet.
#[inline]
pub(crate) fn this() -> u32 {
    if several() { segments::number() } else { 0 }
}

/// What one core needs to reach the others.
#[derive(Clone, Copy)]
pub(crate) struct Means {
    /// Its interrupt controller, which every core reaches in the same way.
    pub(crate) apic: LocalApic,
    /// The first core's clock.
    pub(crate) clock: Clock,
}

struct MeansCell(Cell<Option<Means>>);

// SAFETY: written once, by the first core, at start-up, before there is a second one; from then on it is only read.
unsafe impl Sync for MeansCell {}

static MEANS: MeansCell = MeansCell(Cell::new(None));
/// The identifiers of the cores that run, by their numbers.
static IDS: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
/// A bit for each core that runs.
static RUNNING: AtomicU64 = AtomicU64::new(1);

/// From now on other cores may run. Called by the first, with its identifier, at start-up, when it holds no lock.
pub(crate) fn expect_others(id: u32, means: Means) {
    MEANS.0.set(Some(means));
    IDS[0].store(id, Relaxed);
    SEVERAL.store(true, Relaxed);
}

/// The core `number`, with the identifier `id`, runs.
pub(crate) fn started(number: u32, id: u32) {
    IDS[number as usize].store(id, Relaxed);
    RUNNING.fetch_or(1 << number, SeqCst);
}

/// How others are reached, if there may be others.
pub(crate) fn means() -> Option<Means> {
    MEANS.0.get().filter(|_| several())
}

/// The numbers of the cores but this that run, with their identifiers.
pub(crate) fn others() -> impl Iterator<Item = (u32, u32)> + Clone {
    let others = RUNNING.load(SeqCst) & !(1 << this());
    let numbers = (0..MOST as u32).filter(move |number| others & 1 << number != 0);
    numbers.map(|number| (number, IDS[number as usize].load(Relaxed)))
}
