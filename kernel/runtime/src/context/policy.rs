//! What contexts may do: asked when something is registered, never when it occurs (A-3.5.3,
//!
//!
//! A context that is made while another runs is that one's child, and never has more than its
//! parent: neither limits nor memory, kinds of events, executors or time. `main` may do
//! everything, and the library OS makes contexts [of its own](Origin::System).

use crate::context::{caller, registry};
use crate::cpu;
use crate::cpu::context::{Lineage, Place};
use crate::cpu::options::{ContextOptions, Origin};
use crate::cpu::runtime::Runtime;
use crate::cpu::set::{ContextSet, MOST_CONTEXTS};
use crate::dispatch::event_core::{running, tell, with_core};
use crate::dispatch::section::{Section, Start, section};
use reflex_event::{
    Condition, Context, ContextId, Error, Executor, MOST_NAMES, NameSet, Names, Policy, Trouble,
};

/// A protected section: a piece of work, known by name, that some contexts' handlers may not
/// interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protected(u8);

impl Protected {
    /// Its place in a [`NameSet`].
    pub const fn place(self) -> u8 {
        self.0
    }
}

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
    pub condition: Condition,
    /// Its live registrations.
    pub registrations: u32,
}

/// Makes the tables of names.
pub(crate) fn init(start: &Start) {
    cpu::this().kinds.set(start, Names::EMPTY);
    cpu::this().protected.set(start, (Names::EMPTY, [ContextSet::NONE; MOST_NAMES]));
}

/// Says what a context that is about to be made may have, and counts it as its parent's child.
pub(crate) fn admit(options: ContextOptions) -> Result<(ContextOptions, Lineage), Error> {
    let caller = caller::any()?.filter(|_| options.origin != Origin::System);
    let parent = match options.origin {
        Origin::ChildOf(parent) => Some(parent),
        Origin::Caller | Origin::System => caller,
    };
    let mut options = options;
    for above in [caller, parent.filter(|_| parent != caller)].into_iter().flatten() {
        let above = section(|cs| registry::at(cs, above).map(|place| place.lineage.get(cs)))?;
        options.limits = options.limits.within(above.limits);
        options.policy = options.policy.within(above.policy);
        options.memory = options.memory.min(above.memory);
    }
    if let Some(parent) = parent {
        section(|cs| {
            let lineage = &registry::at(cs, parent)?.lineage;
            let above = lineage.get(cs);
            if above.children >= above.policy.children {
                return Err(refuse(cs, parent));
            }
            lineage.set(cs, Lineage { children: above.children + 1, ..above });
            Ok(())
        })?;
    }
    let ContextOptions { policy, limits, .. } = options;
    // What the system has made is not measured by its size: `main` is small.
    let memory = match options.origin {
        Origin::Caller | Origin::ChildOf(_) => options.memory,
        Origin::System => usize::MAX,
    };
    Ok((options, Lineage { parent, policy, limits, memory, children: 0 }))
}

/// Takes back that a context was counted as a child.
pub(crate) fn dismiss(parent: Option<ContextId>) {
    section(|cs| {
        if let Some(Ok(parent)) = parent.map(|parent| registry::at(cs, parent)) {
            let lineage = parent.lineage.get(cs);
            parent.lineage.set(cs, Lineage { children: lineage.children - 1, ..lineage });
        }
    });
}

/// Notes what a new context may not interrupt.
pub(crate) fn enlist(cs: &Section, context: ContextId, policy: Policy) {
    cpu::this().protected.with(cs, |(_, excluded)| {
        for place in policy.not_during.places() {
            let set = &mut excluded[usize::from(place)];
            *set = set.with(context);
        }
    });
}

/// Tells a context of a limit that it has reached; the error for whoever reached it.
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
    permit_at(cs, registry::at(cs, context)?, executor)
}

/// [`permit`], for a context that has been looked up.
pub(crate) fn permit_at(cs: &Section, place: &Place, executor: Executor) -> Result<(), Error> {
    let allowed = place.lineage.get(cs).policy.executors.contains(executor);
    if allowed { Ok(()) } else { Err(Error::NotAllowed) }
}

/// Whether whoever runs may name an executor.
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
    let kinds = registry::at(cs, context)?.lineage.get(cs).policy.kinds;
    if kinds == NameSet::ALL {
        return Ok(());
    }
    let place = cpu::this().kinds.with(cs, |kinds| kinds.place(kind)).ok_or(Error::TableFull)?;
    if kinds.contains(place) { Ok(()) } else { Err(Error::NotAllowed) }
}

impl Runtime {
    /// The kinds of events with these names, for a [`Policy`].
    ///
    /// # Errors
    /// [`Error::TableFull`] when there are as many kinds as there can be.
    pub fn kinds(self, names: impl IntoIterator<Item = &'static str>) -> Result<NameSet, Error> {
        names.into_iter().try_fold(NameSet::NONE, |set, name| {
            let place = section(|cs| cpu::this().kinds.with(cs, |kinds| kinds.place(name)));
            Ok(set.with(place.ok_or(Error::TableFull)?))
        })
    }

    /// The protected section called `name`.
    ///
    /// # Errors
    /// [`Error::TableFull`] when there are as many as there can be.
    pub fn protected(self, name: &'static str) -> Result<Protected, Error> {
        let place = section(|cs| cpu::this().protected.with(cs, |(names, _)| names.place(name)));
        place.map(Protected).ok_or(Error::TableFull)
    }

    /// Runs `work` as the protected section `which`: no handler runs meanwhile of a context whose
    /// policy says that it may not. All others may.
    ///
    /// # Errors
    /// As [`Runtime::exclude`]. The work has not been done.
    pub fn protect<R>(self, which: Protected, work: impl FnOnce() -> R) -> Result<R, Error> {
        let (mut contexts, mut length) = ([ContextId::new(0, 0); MOST_CONTEXTS], 0);
        let (set, running) = section(|cs| {
            let which = usize::from(which.0) % MOST_NAMES;
            (cpu::this().protected.with(cs, |(_, excluded)| excluded[which]), running(cs))
        });
        for index in set.indices() {
            // A context's own handlers cannot interrupt it anyway.
            if let Ok(context) = section(|cs| registry::name(cs, index))
                && Some(context) != running
            {
                contexts[length] = context;
                length += 1;
            }
        }
        self.exclude(&contexts[..length], work)
    }

    /// What there is to see of each context.
    pub fn contexts(self) -> impl Iterator<Item = ContextInfo> {
        (0..MOST_CONTEXTS as u16).map_while(|index| {
            section(|cs| {
                let id = registry::name(cs, index).ok()?;
                let place = registry::at(cs, id).ok()?;
                let (name, parent) = (place.name, place.lineage.get(cs).parent);
                let (condition, registrations) = with_core(cs, |core| core.condition(id)).ok()?;
                Some(ContextInfo { id, name, parent, condition, registrations })
            })
        })
    }

    /// What a context may do, as far as it was given that.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn policy(self, context: ContextId) -> Result<Policy, Error> {
        section(|cs| registry::at(cs, context).map(|place| place.lineage.get(cs).policy))
    }

    /// The context that runs, if its state is an `S`.
    ///
    /// # Errors
    /// [`Error::Busy`] when none runs, or in a filter; [`Error::WrongState`] when its state is another.
    pub fn this<S: 'static>(self) -> Result<Context<S>, Error> {
        let running = caller::own()?;
        let (_, state) = section(|cs| registry::parts(cs, running))?;
        state.downcast::<S>().map(|_| Context::new(running)).ok_or(Error::WrongState)
    }

    /// The context that runs; `None` in a job. In a filter it is the one that has activated the event.
    pub fn running(self) -> Option<ContextId> {
        section(running)
    }
}
