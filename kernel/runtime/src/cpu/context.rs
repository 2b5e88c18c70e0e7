//! What is kept of a context: its state, its memory, its descent.

use super::bound::AnyState;
use super::deferral::Section;
use super::local::{Local, LocalCell};
use super::supervision::Supervision;
use super::workers::{WorkerPool, WorkerRef};
use alloc::sync::Arc;
use alloc::vec::Vec;
use reflex_event::{ContextId, Error, EventId, Limits, Policy};
use reflex_memory::Pool;

/// What the machine keeps of a context.
pub(crate) struct ContextBlock {
    pub(crate) state: LocalCell<AnyState>,
    /// Another after a life that has left its memory in quarantine.
    pub(crate) pool: LocalCell<&'static Pool>,
    pub(crate) name: &'static str,
    /// How often it was refused something.
    pub(crate) refusals: LocalCell<u32>,
    /// Bytes of its stack.
    pub(crate) stack: usize,
    /// Bytes it has taken from the global heap in this life, less those it has given back.
    pub(crate) heap: LocalCell<i64>,
    /// What is activated when the context is given up.
    pub(crate) exit_watchers: LocalCell<[Option<EventId>; EXIT_WATCHERS]>,
    /// The context that made it, and what it may do.
    pub(crate) lineage: LocalCell<Lineage>,
    /// What its children may inherit.
    pub(crate) inheritable: Local<InheritableRegistrations>,
    /// The worker pool that it queues occurrences for, if it is a cloner's queueing context.
    pub(crate) worker_pool: LocalCell<Option<&'static Local<WorkerPool>>>,
    /// Its place among the children, if it is a cloner's.
    pub(crate) worker_ref: LocalCell<Option<WorkerRef>>,
    /// What is kept of it if its failure is not the image's, or its time is limited.
    pub(crate) supervision: Option<&'static Supervision>,
}

/// How many can be told that a context was given up: the stacks that keep something for it.
pub(crate) const EXIT_WATCHERS: usize = 4;

impl ContextBlock {
    /// Bytes that it has of the global heap, which are not its own any more.
    pub(crate) fn take_heap(&self, cs: &Section) -> u64 {
        let had = self.heap.get(cs);
        self.heap.set(cs, 0);
        had.max(0) as u64
    }

    /// Has `event` activated when the context is given up.
    pub(crate) fn watch_end(&self, cs: &Section, event: EventId) -> Result<(), Error> {
        let mut exit_watchers = self.exit_watchers.get(cs);
        let place = exit_watchers.iter_mut().find(|place| place.is_none_or(|told| told == event));
        *place.ok_or(Error::LimitReached)? = Some(event);
        self.exit_watchers.set(cs, exit_watchers);
        Ok(())
    }

    /// The next event to tell that the context was given up, each once.
    pub(crate) fn next_exit_watcher(&self, cs: &Section) -> Option<EventId> {
        let mut exit_watchers = self.exit_watchers.get(cs);
        let next = exit_watchers.iter_mut().find_map(Option::take);
        self.exit_watchers.set(cs, exit_watchers);
        next
    }
}

/// What is kept of a context's descent, and what it was given.
#[derive(Clone, Copy)]
pub(crate) struct Lineage {
    pub(crate) parent: Option<ContextId>,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) memory: usize,
    /// What of that lies beside its event memory.
    pub(crate) aside: usize,
    /// Contexts it has made and that have not ended.
    pub(crate) children: u16,
}

/// Registers with a child what its parent has registered.
pub(crate) type Recipe = dyn Fn(ContextId) -> Result<(), Error> + Send + Sync;

/// What a context's children may inherit.
pub(crate) struct InheritableRegistrations(pub(crate) Vec<(EventId, Arc<Recipe>)>);

impl InheritableRegistrations {
    pub(crate) const NONE: Self = Self(Vec::new());
}
