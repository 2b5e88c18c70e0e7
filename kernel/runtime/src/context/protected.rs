//! Protected sections: pieces of work, known by name, that some contexts' handlers may not interrupt.

use crate::context::registry;
use crate::cpu;
use crate::cpu::runtime::Runtime;
use crate::cpu::set::{ContextSet, MOST_CONTEXTS};
use crate::cpu::shared::SHARED;
use crate::dispatch::event_core::running;
use crate::dispatch::section::{Section, Start, section};
use reflex_event::{ContextId, Error, MOST_NAMES, Policy};

/// A protected section: a piece of work, known by name, that some contexts' handlers may not
/// interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protected(u8);

impl Protected {
    /// Its place in a [`NameSet`](reflex_event::NameSet).
    pub const fn place(self) -> u8 {
        self.0
    }
}

/// Makes the table of what may not interrupt.
pub(crate) fn init(start: &Start) {
    cpu::this().protected.set(start, [ContextSet::NONE; MOST_NAMES]);
}

/// Notes what a new context may not interrupt.
pub(crate) fn enlist(cs: &Section, context: ContextId, policy: Policy) {
    cpu::this().protected.with(cs, |excluded| {
        for place in policy.not_during.places() {
            let set = &mut excluded[usize::from(place)];
            *set = set.with(context);
        }
    });
}

impl Runtime {
    /// The protected section called `name`.
    ///
    /// # Errors
    /// [`Error::TableFull`] when there are as many as there can be.
    pub fn protected(self, name: &'static str) -> Result<Protected, Error> {
        let place = section(|cs| SHARED.protected.with(cs, |names| names.place(name)));
        place.map(Protected).ok_or(Error::TableFull)
    }

    /// Runs `work` as the protected section `which`: no handler runs meanwhile of a context that
    /// may not by its policy. All others may.
    ///
    /// # Errors
    /// As [`Runtime::exclude`]. The work has not been done.
    pub fn protect<R>(self, which: Protected, work: impl FnOnce() -> R) -> Result<R, Error> {
        let (mut contexts, mut length) = ([ContextId::new(0, 0); MOST_CONTEXTS], 0);
        let (set, running) = section(|cs| {
            let which = usize::from(which.0) % MOST_NAMES;
            (cpu::this().protected.with(cs, |excluded| excluded[which]), running(cs))
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
}
