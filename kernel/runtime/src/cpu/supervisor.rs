//! The supervisor's events, and the contexts that wait for it.

use super::set::ContextSet;
use super::supervision::Supervision;
use reflex_event::{Context, EventId};

/// The supervisor's events, and the contexts that wait for it.
pub(crate) struct Supervisor {
    pub(crate) context: Option<Context<()>>,
    pub(crate) work: Option<EventId>,
    pub(crate) print: Option<EventId>,
    /// Contexts to be cleaned up.
    pub(crate) dying: ContextSet,
    /// Contexts to be restarted.
    pub(crate) due: ContextSet,
    /// The context that had the handlers with captures that are being dropped.
    pub(crate) drops_for: Option<&'static Supervision>,
}

impl Supervisor {
    /// Before it has been made.
    pub(crate) const NONE: Self = Self {
        context: None,
        work: None,
        print: None,
        dying: ContextSet::NONE,
        due: ContextSet::NONE,
        drops_for: None,
    };
}
