//! What there is to see of contexts.

use crate::context::{caller, registry};
use crate::cpu::runtime::Runtime;
use crate::cpu::set::MOST_CONTEXTS;
use crate::dispatch::event_core::{running, with_core};
use crate::dispatch::section::section;
use reflex_event::{Context, ContextId, ContextState, Error, Policy};
use reflex_memory::PoolStats;

/// What there is to see of a context.
#[derive(Clone, Copy, Debug)]
pub struct ContextInfo {
    /// Which it is.
    pub id: ContextId,
    /// What it is called.
    pub name: &'static str,
    /// The context that made it.
    pub parent: Option<ContextId>,
    /// What it is doing.
    pub state: ContextState,
    /// Its live registrations.
    pub registrations: u32,
}

/// What a context has taken of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Its event memory.
    pub memory: PoolStats,
    /// Bytes of the machine's memory that were set aside for it beside that, for connections.
    pub aside: usize,
    /// Bytes of its stack.
    pub stack: usize,
    /// Bytes it has of the global heap, by `alloc`'s types: those it has taken in this life, less those it has
    /// given back. What it gives back for others is counted to those, so that there may be none left.
    pub heap: u64,
}

impl Runtime {
    /// What a context has taken of the machine. The pool's magazines are emptied for that.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn usage(self, context: ContextId) -> Result<Usage, Error> {
        let (pool, aside, stack, heap) = section(|cs| {
            let place = registry::get(cs, context)?;
            let (aside, heap) = (place.lineage.get(cs).aside, place.heap.get(cs).max(0) as u64);
            Ok((place.pool.get(cs), aside, place.stack, heap))
        })?;
        Ok(Usage { memory: pool.stats(), aside, stack, heap })
    }

    /// What there is to see of each context.
    pub fn contexts(self) -> impl Iterator<Item = ContextInfo> {
        (0..MOST_CONTEXTS as u16).map_while(|index| {
            section(|cs| {
                let id = registry::name(cs, index).ok()?;
                let place = registry::get(cs, id).ok()?;
                let (name, parent) = (place.name, place.lineage.get(cs).parent);
                let (state, registrations) = with_core(cs, |core| core.context_state(id)).ok()?;
                Some(ContextInfo { id, name, parent, state, registrations })
            })
        })
    }

    /// What a context may do, as far as it was given that.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn policy(self, context: ContextId) -> Result<Policy, Error> {
        section(|cs| registry::get(cs, context).map(|place| place.lineage.get(cs).policy))
    }

    /// The context that runs, if its state is an `S`.
    ///
    /// # Errors
    /// [`Error::Busy`] when none runs, or in a filter; [`Error::WrongState`] when its state is another.
    pub fn this<S: 'static>(self) -> Result<Context<S>, Error> {
        let running = caller::own()?;
        let (_, state) = section(|cs| registry::state_and_pool(cs, running))?;
        state.downcast::<S>().map(|_| Context::new(running)).ok_or(Error::WrongState)
    }

    /// The context that runs; `None` in a job. In a filter it is the one that has activated the event.
    pub fn running(self) -> Option<ContextId> {
        section(running)
    }
}
