//! What is kept of a context that fails alone.

use super::bound::AnyState;
use super::budget::Budget;
use super::handler::Handler;
use super::home::Home;
use super::loose::Loose;
use super::options::{Backoff, OnFailure};
use super::reason::{Reason, Text};
use super::registers::Registers;
use super::scope::Scope;
use core::cell::Cell;
use core::ptr::NonNull;
use core::time::Duration;
use reflex_event::{Error, EventId, Instant, Priority, TimerId};
use reflex_memory::{Cursor, Pool};

/// A supervised context's life.
///
/// ```text
///            constructed               fails                  cleaned up
///   Down ───────────────▶ Up ────────────────────▶ Dying ──────────────────▶ Down
///    ▲  restart, after a   (see `contain`)          the supervisor's steps    │
///    └──────────────── back-off ◀─────────────────────────────────────────────┘
/// ```
///
/// Giving up is in `failure::contain`, cleaning up in `failure::cleanup`, the beginning in
/// `failure::construct` and, for a cloner's child, in `failure::restore`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Its constructor is being registered.
    Beginning,
    Up,
    Dying,
    Down,
}

/// What is kept of a supervised context, for ever.
pub(crate) struct Supervision {
    /// The context's place: its name changes from one life of a cloner's child to the next.
    pub(crate) index: Cell<u16>,
    pub(crate) on_failure: Cell<OnFailure>,
    pub(crate) life: Cell<Life>,
    pub(crate) reason: Cell<Reason>,
    pub(crate) text: Cell<Text>,
    /// It is being told what it dies of.
    pub(crate) tells: Cell<bool>,
    /// What its handler ran for.
    pub(crate) event: Cell<Option<EventId>>,
    pub(crate) registers: Cell<Registers>,
    /// A handler to be forgotten.
    pub(crate) unfinished: Cell<Option<Handler>>,
    /// What is still to be ended of what it had begun.
    pub(crate) scopes: Cell<Option<NonNull<Scope>>>,
    /// Values that were forgotten, since code of its that was given up may have been changing them.
    pub(crate) forgotten: Cell<u32>,
    pub(crate) phase: Cell<Phase>,
    /// Where it lives.
    pub(crate) home: Home,
    /// Makes its state; `None` when it was given one and so cannot be restarted.
    pub(crate) constructor: Cell<Option<Construct>>,
    /// The blocks of its state and of the cell that is in, when it was constructed.
    pub(crate) blocks: Cell<[Option<NonNull<()>>; 2]>,
    /// For its budget while it is up, and for its restart while it is down.
    pub(crate) timer: Cell<TimerId>,
    pub(crate) budget: Budget,
    pub(crate) lost: Cell<u64>,
    pub(crate) failures: Cell<u32>,
    /// How often it has been given up, what is being cleaned up included.
    pub(crate) ended_lives: Cell<u64>,
    pub(crate) backoff: Cell<Backoff>,
    /// The next wait.
    pub(crate) wait: Cell<Duration>,
    pub(crate) since: Cell<Instant>,
    pub(crate) watcher: Cell<Option<EventId>>,
    /// The watcher has been told of the last failure.
    pub(crate) told: Cell<bool>,
}

// SAFETY: the context's core alone reaches the cells, in a section; or with the context at its mercy: by the
// context itself, or by the supervisor of that core, once the context has been given up.
unsafe impl Sync for Supervision {}

/// How far the cleaning up has come.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Tell,
    Scopes,
    Unregister,
    TellWatchers,
    Reclaim(Cursor),
    Finish,
}

impl Phase {
    pub(crate) const FIRST: Self = Self::Tell;
}

/// Makes a cell for the state in the context's pool, and the handler that runs the constructor.
pub(crate) type Prepare = unsafe fn(NonNull<()>, &'static Pool) -> Result<(AnyState, Loose), Error>;

/// What makes a context's state.
#[derive(Clone, Copy)]
pub(crate) struct Construct {
    /// The constructor, whatever its type.
    pub(crate) constructor: NonNull<()>,
    /// Makes the cell of a state that is yet to come, and the handler that makes the state.
    pub(crate) prepare: Prepare,
    /// The priority at which it is run.
    pub(crate) priority: Priority,
}
