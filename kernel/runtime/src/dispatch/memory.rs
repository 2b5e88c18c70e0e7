//! The machine's memory, given out once: stacks, pools, DMA buffers.
//!
//! What is taken is never given back, because what it is for (a context, a ring, a pool) lives
//! as long as the image; inside a pool, memory comes and goes.

use crate::cpu;
use crate::dispatch::event_core::{tell, with_core};
use crate::dispatch::refusal;
use crate::dispatch::section;
use crate::dispatch::section::Start;
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use reflex_arch::core_words;
use reflex_event::{Error, Trouble};
use reflex_memory::{Content, Exclusion, Granule, Pool, PoolStats, Scheme};

pub use crate::cpu::stack::StackSource;

static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// More than one core may come to run.
static SEVERAL: AtomicBool = AtomicBool::new(false);

/// Says that more than one core may come to run: before [`init`](crate::init), which makes the first pools.
pub fn expect_several_cores() {
    SEVERAL.store(true, Relaxed);
}

/// The exclusion of every pool: a section.
struct Deferral;

// SAFETY: while a section is open no other context and no job of its core runs, and interrupt
// code uses no pool. Sections nest. Both ends are compiler fences. The core is asked for its number, but for an image that
// has one core: `SEVERAL` is set before the first pool is made, or never.
unsafe impl Exclusion for Deferral {
    #[inline(always)]
    fn enter(&self) {
        section::enter();
    }

    #[inline(always)]
    fn leave(&self) {
        section::leave();
    }

    #[inline]
    fn core(&self) -> Option<u32> {
        SEVERAL.load(Relaxed).then(core_words::number)
    }

    /// The owner is a context, by its place. The code that allocates has no borrow of the core.
    fn refused(&self, owner: u32, pool: &Pool, bytes: usize) {
        section::section(|cs| {
            let Ok(context) = with_core(cs, |core| core.context_at(owner as u16)) else { return };
            tell(cs, context, Trouble::PoolExhausted);
        });
        refusal::tell(owner as u16, &Asked { pool, bytes });
    }
}

/// What a pool had no room for.
struct Asked<'a> {
    pool: &'a Pool,
    bytes: usize,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolStats { allocated, capacity, largest_free, reserved, .. } = self.pool.stats();
        write!(
            f,
            "{} bytes of event memory: {allocated} of {capacity} are in use, {reserved} set aside, at most \
             {largest_free} are in one piece",
            self.bytes
        )
    }
}

/// Takes charge of the machine's free memory.
///
/// # Safety
/// `memory` is mapped, readable and writable, and used by nobody else for as long as the image
/// runs; what `stacks` returns is as its type says.
pub(crate) unsafe fn init(start: &Start, memory: NonNull<[u8]>, stacks: StackSource) {
    let first = memory.cast::<u8>().addr().get();
    NEXT.store(first, Relaxed);
    END.store(first + memory.len(), Relaxed);
    cpu::this().stacks.set(start, stacks);
}

/// Bytes that are still to be had.
pub fn available() -> usize {
    END.load(Relaxed) - NEXT.load(Relaxed)
}

/// What is taken is a multiple of this, so that none is lost later before what is aligned to it, as the heap's chunks are.
const UNIT: usize = 16;

/// Takes `bytes` of memory at a multiple of `align`, a power of two; `None` when that much is
/// not left. The contents are whatever the machine left there. Nothing is locked: memory is taken by one exchange.
pub fn take(bytes: usize, align: usize) -> Option<NonNull<[u8]>> {
    let mut next = NEXT.load(Relaxed);
    loop {
        let start = next.checked_next_multiple_of(align)?;
        let end = start.checked_add(bytes)?.checked_next_multiple_of(UNIT)?;
        let end = Some(end).filter(|end| *end <= END.load(Relaxed))?;
        match NEXT.compare_exchange_weak(next, end, Relaxed, Relaxed) {
            Ok(_) => {
                let start = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(start))?;
                return Some(NonNull::slice_from_raw_parts(start, bytes));
            }
            // Another core, or another context, has taken some meanwhile.
            Err(now) => next = now,
        }
    }
}

/// Takes a stack; returns its upper end.
pub(crate) fn stack(bytes: usize) -> Option<usize> {
    stack_above(bytes, 0).map(|stack| stack.end)
}

/// Takes a stack with a closed reserve under it.
pub(crate) fn stack_above(bytes: usize, reserve: usize) -> Option<Range<usize>> {
    (cpu::this().stacks.get().make)(bytes, reserve)
}

/// Maps a stack's reserve; false when that cannot be done.
pub(crate) fn open_reserve(reserve: Range<usize>) -> bool {
    (cpu::this().stacks.get().open)(reserve)
}

/// Unmaps a stack's reserve, which nobody uses.
pub(crate) fn close_reserve(reserve: Range<usize>) {
    section::section(|_| (cpu::this().stacks.get().close)(reserve));
}

/// Makes a pool of `bytes`, bookkeeping included.
///
/// # Errors
/// [`Error::OutOfMemory`] when that much memory is not left, or too little was asked for.
pub fn pool(bytes: usize, granule: Granule, content: Content) -> Result<&'static Pool, Error> {
    let region = take(bytes, granule.bytes().max(16)).ok_or(Error::OutOfMemory)?;
    // SAFETY: `take` gives memory out once.
    place(unsafe { Pool::new(region, granule, content, &Deferral) })
}

/// Makes a pool in which a scheme of its owner's finds the blocks.
///
/// # Errors
/// [`Error::OutOfMemory`] when there is no memory for its bookkeeping, or the scheme's region is no
/// good.
pub(crate) fn pool_by(scheme: &'static mut dyn Scheme) -> Result<&'static Pool, Error> {
    place(Pool::with_scheme(scheme, &Deferral))
}

/// Puts a pool where it stays.
fn place(pool: Result<Pool, reflex_memory::Error>) -> Result<&'static Pool, Error> {
    let place = take(size_of::<Pool>(), align_of::<Pool>()).ok_or(Error::OutOfMemory)?;
    let place = place.cast::<Pool>();
    // SAFETY: fresh memory of the right size and alignment, which stays for ever.
    unsafe {
        place.write(pool.map_err(|_| Error::OutOfMemory)?);
        Ok(place.as_ref())
    }
}
