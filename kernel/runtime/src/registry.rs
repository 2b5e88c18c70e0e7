//! Contexts as the machine has them: a stack, a state, event memory, a name.

use crate::bound::{AnyState, Handler, StateCell};
use crate::crew::{Crew, Membership};
use crate::dispatch::{CORE, Stack};
use crate::exclude::ContextSet;
use crate::inherit::Heirlooms;
use crate::local::Local;
use crate::policy::{self, Lineage, Origin};
use crate::supervise::{self, Backoff, Life, OnFailure, Supervision};
use crate::{contain, memory, section, supervisor};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use reflex_event::{Context, ContextId, Core, Error, EventId, Limits, Policy};
use reflex_memory::{Content, Granule, Lent, Pool, Scheme};

/// The most contexts there can be.
pub(crate) const MOST_CONTEXTS: usize = Core::<Handler, Stack>::MOST_CONTEXTS;

/// Bytes of the smallest block of event memory. A bound handler without captures takes one.
const GRANULE: Granule = match Granule::new(32) {
    Some(granule) => granule,
    None => unreachable!(),
};

/// An allocation scheme of a context's own, if it has one.
pub type OwnScheme = Option<&'static mut dyn Scheme>;

/// What a context is made with.
#[derive(Clone, Copy, Debug)]
pub struct ContextOptions {
    /// What crash reports and logs call it.
    pub name: &'static str,
    /// Bytes of its stack; a guard page lies under it.
    pub stack: usize,
    /// Bytes of its event memory, bookkeeping included.
    pub memory: usize,
    /// How much of the event system it may use.
    pub limits: Limits,
    /// What it may do at all.
    pub policy: Policy,
    /// Whose child it is.
    pub origin: Origin,
    /// What becomes of it when it fails.
    pub on_failure: OnFailure,
    /// How long to wait before restarts.
    pub backoff: Backoff,
}

impl ContextOptions {
    /// A context called `name` with a stack of 16 KiB and 64 KiB of event memory.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            stack: 16 << 10,
            memory: 64 << 10,
            limits: Limits::NONE,
            policy: Policy::OPEN,
            origin: Origin::Caller,
            on_failure: OnFailure::Halt,
            backoff: Backoff::USUAL,
        }
    }

    /// Whether there is something to be kept of a context made with these.
    pub(crate) fn is_supervised(&self) -> bool {
        self.on_failure != OnFailure::Halt || self.policy.budget.is_some()
    }
}

/// What the machine keeps of a context.
pub(crate) struct Place {
    pub(crate) state: AnyState,
    pub(crate) pool: &'static Pool,
    pub(crate) name: &'static str,
    /// What is activated when the context is given up.
    mourners: [Option<EventId>; MOURNERS],
    /// The contexts that this one excludes for the time being.
    pub(crate) excluding: ContextSet,
    /// Who made it, and what it may do.
    pub(crate) lineage: Lineage,
    /// What its children may inherit.
    pub(crate) heirlooms: Heirlooms,
    /// Whose front it is, if it is a cloner's.
    pub(crate) front: Option<&'static Local<Crew>>,
    /// Whose child it is, if it is a cloner's.
    pub(crate) member: Option<Membership>,
    /// What is kept of it if its failure is not the image's, or its time is limited.
    pub(crate) supervision: Option<&'static Supervision>,
}

/// How many can be told that a context was given up: the stacks that keep something for it.
const MOURNERS: usize = 4;

impl Place {
    /// Has `event` activated when the context is given up.
    pub(crate) fn mourn(&mut self, event: EventId) -> Result<(), Error> {
        let place = self.mourners.iter_mut().find(|place| place.is_none_or(|told| told == event));
        *place.ok_or(Error::LimitReached)? = Some(event);
        Ok(())
    }

    /// Whom to tell next that the context was given up, each once.
    pub(crate) fn next_mourner(&mut self) -> Option<EventId> {
        self.mourners.iter_mut().find_map(Option::take)
    }
}

/// Every context, by its index. Reached only in a section; it never moves, as all its room is
/// reserved at the start. Pointers, since a place is too large to be put in there in a section.
static PLACES: Local<Vec<&'static mut Place>> = Local::new(Vec::new());

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
/// [`Error::TooManyContexts`] with [`MOST_CONTEXTS`] there, [`Error::LimitReached`] when whoever
/// makes it may have no more, [`Error::OutOfMemory`] when the machine's memory is used up.
pub(crate) fn add<S: Send + 'static>(
    options: ContextOptions,
    state: S,
) -> Result<Context<S>, Error> {
    add_by(options, None, state)
}

/// [`add`], with event memory that a scheme of its own hands out if there is one.
pub(crate) fn add_by<S: Send + 'static>(
    options: ContextOptions,
    scheme: OwnScheme,
    state: S,
) -> Result<Context<S>, Error> {
    let context = add_any(options, scheme, |pool| {
        let state = pool.alloc(state).map_err(|_| Error::OutOfMemory)?.leak();
        let cell = pool.alloc(StateCell::new(state)).map_err(|_| Error::OutOfMemory)?.leak();
        Ok(AnyState::new(NonNull::from(cell)))
    })?;
    Ok(Context::new(context))
}

/// Makes a context whose state is yet to come: it is held, and down.
pub(crate) fn add_down(options: ContextOptions, scheme: OwnScheme) -> Result<ContextId, Error> {
    let context = add_any(options, scheme, |_| Ok(AnyState::nothing()))?;
    section::section(|| {
        if let Some(supervision) = supervision(context)? {
            supervision.life.set(Life::Down);
        }
        // SAFETY: in a section, and the borrow ends in this statement.
        unsafe { CORE.get() }.hold(context)?;
        Ok(context)
    })
}

fn add_any(
    options: ContextOptions,
    scheme: OwnScheme,
    state: impl FnOnce(&'static Pool) -> Result<AnyState, Error>,
) -> Result<ContextId, Error> {
    if options.on_failure != OnFailure::Halt {
        supervisor::ensure()?;
    }
    let (options, lineage) = policy::admit(options)?;
    let parent = lineage.parent;
    make(options, lineage, scheme, state).inspect_err(|_| policy::dismiss(parent))
}

fn make(
    options: ContextOptions,
    lineage: Lineage,
    scheme: OwnScheme,
    state: impl FnOnce(&'static Pool) -> Result<AnyState, Error>,
) -> Result<ContextId, Error> {
    let bytes = scheme.as_ref().map(|scheme| scheme.region().len());
    if bytes.is_some_and(|bytes| bytes > options.memory) {
        return Err(Error::LimitReached);
    }
    // Laying out a large pool takes time, during which others may run.
    let reserve = if options.on_failure == OnFailure::Halt { 0 } else { contain::RESERVE };
    let stack = memory::stack_above(options.stack, reserve).ok_or(Error::OutOfMemory)?;
    let top = stack.end;
    let pool = match scheme {
        Some(scheme) => memory::pool_by(scheme)?,
        None => memory::pool(options.memory, GRANULE, Content::Objects)?,
    };
    let state = state(pool)?;
    let supervision = supervise::prepare(&options, stack)?;
    let place = Box::new(Place {
        state,
        pool,
        name: options.name,
        mourners: [None; MOURNERS],
        excluding: ContextSet::NONE,
        lineage,
        heirlooms: Heirlooms::NONE,
        front: None,
        member: None,
        supervision,
    });
    section::section(|| {
        // SAFETY: in a section; nothing below runs anybody else.
        let (core, places) = unsafe { (CORE.get(), PLACES.get()) };
        if places.len() == places.capacity() {
            return Err(Error::TooManyContexts);
        }
        let id = core.add_context(Stack { top, ..Stack::NONE }, options.limits)?;
        debug_assert_eq!(usize::from(id.index), places.len());
        pool.set_owner(id.index.into());
        places.push(Box::leak(place));
        if let Some(supervision) = supervision {
            supervision.index.set(id.index);
            if reserve != 0 {
                contain::set_reserve(id, supervision.reserve().start);
            }
        }
        policy::enlist(id, options.policy);
        Ok(id)
    })
}

/// A context. The caller is in a section, and takes no second borrow meanwhile.
pub(crate) fn at<'a>(context: ContextId) -> Result<&'a mut Place, Error> {
    // SAFETY: the caller's duty; the borrow ends in this statement.
    if !unsafe { CORE.get() }.exists(context) {
        return Err(Error::NoContext);
    }
    existing(context.index)
}

/// The context at a place, which exists. The caller is as for [`at`].
pub(crate) fn existing<'a>(index: u16) -> Result<&'a mut Place, Error> {
    // SAFETY: the caller's duty.
    let places = unsafe { PLACES.get() };
    places.get_mut(usize::from(index)).map(|place| &mut **place).ok_or(Error::NoContext)
}

/// The name of the context at a place. The caller is in a section.
pub(crate) fn name(index: u16) -> Result<ContextId, Error> {
    // SAFETY: in a section, and the borrow ends in this statement.
    unsafe { CORE.get() }.context_at(index)
}

/// A context's event memory and state. The caller is in a section.
pub(crate) fn parts(context: ContextId) -> Result<(&'static Pool, AnyState), Error> {
    at(context).map(|place| (place.pool, place.state))
}

/// What is kept of a context that is supervised. The caller is in a section.
pub(crate) fn supervision(context: ContextId) -> Result<Option<&'static Supervision>, Error> {
    at(context).map(|place| place.supervision)
}

/// Forgets what a context's state is, and where. The caller is in a section.
pub(crate) fn forget_state(context: ContextId) {
    if let Ok(place) = at(context) {
        place.state = AnyState::nothing();
    }
}

/// Frees a block of event memory without a look at what is in it.
///
/// # Safety
/// The block was taken from `pool` by a [`Lent`] that was leaked, and nobody uses it any more.
pub(crate) unsafe fn free_block(block: NonNull<()>, pool: &'static Pool) {
    // SAFETY: the caller's duty; a `ManuallyDrop` drops nothing.
    drop(unsafe { Lent::from_raw(block.cast::<ManuallyDrop<()>>(), pool) });
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
                write!(f, "context {} \"{name}\"", id.index)?;
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
    let name = |id: ContextId| places.get(usize::from(id.index)).map(|place| (place.name, id));
    Running {
        context: running.and_then(name),
        event: running.and_then(|context| core.serving(context)),
    }
}
