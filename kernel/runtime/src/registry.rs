//! Contexts as the machine has them: a stack, a state, event memory, a name.

use crate::bound::{AnyState, Handler, StateCell};
use crate::dispatch::{CORE, Stack};
use crate::local::Local;
use crate::{memory, section};
use alloc::vec::Vec;
use core::fmt;
use reflex_event::{Context, ContextId, Core, Error, EventId};
use reflex_memory::{Content, Granule, Pool};

/// The most contexts there can be.
pub(crate) const MOST_CONTEXTS: usize = Core::<Handler, Stack>::MOST_CONTEXTS;

/// Bytes of the smallest block of event memory. A bound handler without captures takes one.
const GRANULE: Granule = match Granule::new(32) {
    Some(granule) => granule,
    None => unreachable!(),
};

/// What a context is made with.
#[derive(Clone, Copy, Debug)]
pub struct ContextOptions {
    /// What crash reports and logs call it.
    pub name: &'static str,
    /// Bytes of its stack; a guard page lies under it.
    pub stack: usize,
    /// Bytes of its event memory, bookkeeping included.
    pub memory: usize,
}

impl ContextOptions {
    /// A context called `name` with a stack of 16 KiB and 64 KiB of event memory.
    pub const fn new(name: &'static str) -> Self {
        Self { name, stack: 16 << 10, memory: 64 << 10 }
    }
}

struct Place {
    state: AnyState,
    pool: &'static Pool,
    name: &'static str,
}

/// Every context, by its index. Reached only in a section; it never moves, as all its room is
/// reserved at the start.
static PLACES: Local<Vec<Place>> = Local::new(Vec::new());

static IDLE_STACK: Local<usize> = Local::new(0);

/// Makes room, and the idle stack.
pub(crate) fn init() -> Result<(), Error> {
    let top = memory::stack(8 << 10).ok_or(Error::OutOfMemory)?;
    // SAFETY: at start-up, in the section the kernel starts in.
    unsafe {
        *IDLE_STACK.get() = top;
        PLACES.get().try_reserve_exact(MOST_CONTEXTS).map_err(|_| Error::HeapExhausted)
    }
}

/// Makes a context. A cold path.
///
/// # Errors
/// [`Error::TableFull`] with [`MOST_CONTEXTS`] there, [`Error::OutOfMemory`] when the machine's
/// memory is used up.
pub(crate) fn add<S: Send + 'static>(
    options: ContextOptions,
    state: S,
) -> Result<Context<S>, Error> {
    // Laying out a large pool takes time, during which others may run.
    let stack_top = memory::stack(options.stack).ok_or(Error::OutOfMemory)?;
    let pool = memory::pool(options.memory, GRANULE, Content::Objects)?;
    let state = pool.alloc(state).map_err(|_| Error::OutOfMemory)?.leak();
    let cell = pool.alloc(StateCell::new(state)).map_err(|_| Error::OutOfMemory)?.leak();
    let state = AnyState::new(cell);
    section::section(|| {
        // SAFETY: in a section; nothing below runs anybody else.
        let (core, places) = unsafe { (CORE.get(), PLACES.get()) };
        if places.len() == places.capacity() {
            return Err(Error::TableFull);
        }
        let id = core.add_context(Stack { saved: 0, top: stack_top })?;
        debug_assert_eq!(usize::from(id.0), places.len());
        places.push(Place { state, pool, name: options.name });
        Ok(Context::new(id))
    })
}

/// A context's event memory and state. The caller is in a section.
pub(crate) fn parts(context: ContextId) -> Result<(&'static Pool, AnyState), Error> {
    // SAFETY: in a section, and the borrow ends here.
    let places = unsafe { PLACES.get() };
    places.get(usize::from(context.0)).map(|at| (at.pool, at.state)).ok_or(Error::Stale)
}

/// The upper end of the idle stack.
pub(crate) fn idle_stack_top() -> usize {
    // SAFETY: written once, at start-up.
    unsafe { *IDLE_STACK.get() }
}

/// Who is running, for a crash report.
pub struct Running {
    context: Option<(&'static str, ContextId)>,
    event: Option<EventId>,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.context {
            None => f.write_str("no context (start-up or idle)"),
            Some((name, id)) => {
                write!(f, "context {} \"{name}\"", id.0)?;
                match self.event {
                    Some(event) => write!(f, ", event {}.{}", event.index, event.generation),
                    None => f.write_str(", between events"),
                }
            }
        }
    }
}

/// Who is running now, and for what event. For a crash report: it looks without excluding
/// anybody, because after a crash nobody else runs.
pub fn describe_running() -> Running {
    // SAFETY: as said above; a table caught in the middle of a change yields a wrong name at
    // worst, since all accesses below are checked.
    let (core, places) = unsafe { (CORE.get(), PLACES.get()) };
    let running = core.running();
    let name = |id: ContextId| places.get(usize::from(id.0)).map(|place| (place.name, id));
    Running {
        context: running.and_then(name),
        event: running.and_then(|context| core.serving(context)),
    }
}
