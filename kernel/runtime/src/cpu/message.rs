//! What cores tell each other, and what each has to do with another.

use super::job::Job;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use reflex_across::{PairRing, Port};
use reflex_event::{EventId, Priority};

/// Messages that a ring of one core to another holds.
pub(crate) const ENTRIES: usize = 64;
/// Messages that wait behind a full ring.
pub(crate) const WAITING: usize = 64;
/// Calls of one core to another that may be under way; each takes one of the places that wait for its answer.
pub(crate) const CALLS: usize = 16;

/// The ring of one core to another.
pub(crate) type CoreRing = PairRing<Message, ENTRIES>;

/// What a core is told.
pub(crate) enum Message {
    /// An event of its has occurred so many times.
    Activate { event: EventId, count: u32 },
    /// Work is to be done there.
    Call(Call),
    /// Work that it has asked for is done, for which this event of its waits.
    Done { event: EventId },
}

/// Work that another core asks for.
pub(crate) struct Call {
    /// Sends the answer when it is done.
    pub(crate) work: Box<dyn FnOnce() + Send>,
    /// That of the handler that waits for it.
    pub(crate) priority: Priority,
}

/// What a core has to do with one other. It belongs to the core.
pub(crate) struct Neighbour {
    pub(crate) port: Port<'static, Message, (), WAITING>,
    /// Calls that have not been answered.
    pub(crate) calls: usize,
}

/// Calls of other cores that a core has taken, and the event that does them.
pub(crate) struct Calls {
    pub(crate) taken: VecDeque<Call>,
    /// The highest priority among them.
    pub(crate) urgent: Priority,
    pub(crate) event: Option<EventId>,
    /// The job that takes what others tell the core.
    pub(crate) job: Option<Job>,
}

impl Calls {
    /// None.
    pub(crate) fn new() -> Self {
        Self { taken: VecDeque::new(), urgent: Priority::LOWEST, event: None, job: None }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Activate { .. } => "Activate",
            Self::Call(_) => "Call",
            Self::Done { .. } => "Done",
        })
    }
}
