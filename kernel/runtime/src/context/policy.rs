//! What contexts may do: asked when something is registered, never when it occurs (A-3.5.3,
//!
//!
//! A context that is made while another runs is that one's child, and never has more than its
//! parent: neither limits nor memory, kinds of events, executors or time. `main` may do
//! everything, and the library OS makes contexts [of its own](Origin::System).

use crate::context::{caller, registry};
use crate::cpu::context::{ContextBlock, Lineage};
use crate::cpu::options::{ContextOptions, Origin};
use crate::cpu::runtime::Runtime;
use crate::cpu::shared::SHARED;
use crate::dispatch::event_core::tell;
use crate::dispatch::section::{Section, section};
use reflex_event::{ContextId, Error, Executor, NameSet, Trouble};

/// Says what a context that is about to be made may have, and counts it as its parent's child.
pub(crate) fn admit(mut options: ContextOptions) -> Result<(ContextOptions, Lineage), Error> {
    let parent = narrow(&mut options)?;
    let ContextOptions { policy, limits, .. } = options;
    // What the system has made is not measured by its size: `main` is small.
    let memory = match options.origin {
        Origin::Caller | Origin::ChildOf(_) => options.memory,
        Origin::System => usize::MAX,
    };
    Ok((options, Lineage { parent, policy, limits, memory, aside: 0, children: 0 }))
}

/// Leaves a context that is about to be made no more than its parent has, and counts it as that one's child.
fn narrow(options: &mut ContextOptions) -> Result<Option<ContextId>, Error> {
    let caller = caller::any()?.filter(|_| options.origin != Origin::System);
    let parent = match options.origin {
        Origin::ChildOf(parent) => Some(parent),
        Origin::Caller | Origin::System => caller,
    };
    for above in [caller, parent.filter(|_| parent != caller)].into_iter().flatten() {
        let above = section(|cs| registry::get(cs, above).map(|place| place.lineage.get(cs)))?;
        options.limits = options.limits.within(above.limits);
        options.policy = options.policy.within(above.policy);
        options.memory = options.memory.min(above.memory);
    }
    if let Some(parent) = parent {
        section(|cs| {
            let lineage = &registry::get(cs, parent)?.lineage;
            let above = lineage.get(cs);
            if above.children >= above.policy.children {
                return Err(refuse(cs, parent));
            }
            lineage.set(cs, Lineage { children: above.children + 1, ..above });
            Ok(())
        })?;
    }
    Ok(parent)
}

/// Takes back that a context was counted as a child.
pub(crate) fn dismiss(parent: Option<ContextId>) {
    section(|cs| {
        if let Some(Ok(parent)) = parent.map(|parent| registry::get(cs, parent)) {
            let lineage = parent.lineage.get(cs);
            parent.lineage.set(cs, Lineage { children: lineage.children - 1, ..lineage });
        }
    });
}

/// Counts so many bytes more as a context's memory.
///
/// # Errors
/// How many it may have at most, when its parent has no more than that.
pub(crate) fn charge(context: ContextId, bytes: usize) -> Result<(), usize> {
    section(|cs| {
        let Ok(place) = registry::get(cs, context) else { return Err(0) };
        let own = place.lineage.get(cs);
        let above = own.parent.map_or(Ok(usize::MAX), |parent| {
            registry::get(cs, parent).map(|parent| parent.lineage.get(cs).memory)
        });
        // A parent that has ended gives nothing any more.
        let above = above.unwrap_or(own.memory);
        let memory = own.memory.saturating_add(bytes);
        if memory > above {
            refuse(cs, context);
            return Err(above.saturating_sub(own.memory));
        }
        place.lineage.set(cs, Lineage { memory, aside: own.aside + bytes, ..own });
        Ok(())
    })
}

/// Takes back that bytes were counted as a context's memory.
pub(crate) fn uncharge(context: ContextId, bytes: usize) {
    section(|cs| {
        if let Ok(place) = registry::get(cs, context) {
            let own = place.lineage.get(cs);
            let (memory, aside) = (own.memory.saturating_sub(bytes), own.aside - bytes);
            place.lineage.set(cs, Lineage { memory, aside, ..own });
        }
    });
}

/// Tells a context of a limit that it has reached; the error for the caller that reached it.
#[cold]
pub(crate) fn refuse(cs: &Section, context: ContextId) -> Error {
    tell(cs, context, Trouble::LimitReached);
    Error::LimitReached
}

/// Whether a context may name an executor.
///
/// # Errors
/// [`Error::NotAllowed`], [`Error::NoContext`].
pub(crate) fn permit(cs: &Section, context: ContextId, executor: Executor) -> Result<(), Error> {
    permit_at(cs, registry::get(cs, context)?, executor)
}

/// [`permit`], for a context that has been looked up.
pub(crate) fn permit_at(
    cs: &Section,
    place: &ContextBlock,
    executor: Executor,
) -> Result<(), Error> {
    let allowed = place.lineage.get(cs).policy.executors.contains(executor);
    if allowed { Ok(()) } else { Err(Error::NotAllowed) }
}

/// Whether the running context may name an executor.
///
/// # Errors
/// [`Error::NotAllowed`]; [`Error::Busy`] in a filter.
pub(crate) fn permit_running(executor: Executor) -> Result<(), Error> {
    caller::any()?.map_or(Ok(()), |context| section(|cs| permit(cs, context, executor)))
}

/// Whether a context may register for a kind of events.
///
/// # Errors
/// [`Error::NotAllowed`], [`Error::NoContext`]; [`Error::TableFull`] when there are as many kinds
/// as there can be.
pub(crate) fn permit_kind(
    cs: &Section,
    context: ContextId,
    kind: &'static str,
) -> Result<(), Error> {
    let kinds = registry::get(cs, context)?.lineage.get(cs).policy.kinds;
    if kinds == NameSet::ALL {
        return Ok(());
    }
    let place = SHARED.kinds.with(cs, |kinds| kinds.place(kind)).ok_or(Error::TableFull)?;
    if kinds.contains(place) { Ok(()) } else { Err(Error::NotAllowed) }
}

impl Runtime {
    /// Leaves a context that is about to be made on another core no more than its parent has, which is of this one, and
    /// counts it as that one's child: for good, as its end is not told here. Returns the parent, for
    /// [`disown`](Self::disown).
    ///
    /// # Errors
    /// [`Error::LimitReached`] when the parent may have no more; [`Error::NoContext`]; [`Error::Busy`] in a filter.
    pub fn adopt_elsewhere(self, options: &mut ContextOptions) -> Result<Option<ContextId>, Error> {
        let parent = narrow(options)?;
        options.origin = Origin::Caller;
        Ok(parent)
    }

    /// The context was not made that was counted as this one's child.
    pub fn disown(self, parent: Option<ContextId>) {
        dismiss(parent);
    }

    /// The kinds of events with these names, for a [`Policy`](reflex_event::Policy).
    ///
    /// # Errors
    /// [`Error::TableFull`] when there are as many kinds as there can be.
    pub fn kinds(self, names: impl IntoIterator<Item = &'static str>) -> Result<NameSet, Error> {
        names.into_iter().try_fold(NameSet::NONE, |set, name| {
            let place = section(|cs| SHARED.kinds.with(cs, |kinds| kinds.place(name)));
            Ok(set.with(place.ok_or(Error::TableFull)?))
        })
    }
}
