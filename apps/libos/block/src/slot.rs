//! A place for a request, from its submission until its handler has been told.
//!
//! ```text
//!          submit                   room                  the device is done
//!   Free ──────────> Waiting ─────────────> WithDevice ──────────────────────> Done ──told──> Free
//!     ^                 │                       │                               ^
//!     │                 └── deadline, cancel ───┼───────────────────────────────┘
//!     │                                         └── deadline, cancel ──> Done, with the device still
//!     └────── the device is done ── Left <── told ──────────────────────────┘
//! ```

use crate::name::{Links, Name};
use crate::{Failure, Request};
use reflex_event::Priority;
use reflex_hil::{BlockOperation, BlockRequest, Pieces};
use reflex_timer::TimerKey;

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// There is none.
    Free,
    /// In its disk's own list: requests of a disk that is closed are to be done before.
    Parked,
    /// In the list of its priority.
    Waiting,
    /// The device has it.
    WithDevice,
    /// In the list of what its handler is to be told.
    Done,
    /// Its handler has been told, or is not to be any more. The device may still have it.
    Left,
}

/// A place for a request.
pub(crate) struct Slot {
    pub(crate) links: Links,
    pub(crate) phase: Phase,
    /// The device has it, whatever its handler has been told.
    pub(crate) flying: bool,
    /// How often the place has been used.
    pub(crate) generation: u32,
    pub(crate) id: u64,
    pub(crate) operation: BlockOperation,
    pub(crate) priority: Priority,
    /// What is to be given to the device.
    pub(crate) request: Option<BlockRequest>,
    pub(crate) result: Result<(), Failure>,
    pub(crate) memory: Pieces,
    /// Set aside when the disk is opened, given back when it is closed.
    pub(crate) timer: Option<TimerKey>,
}

impl Slot {
    pub(crate) const fn new() -> Self {
        Self {
            links: Links::NONE,
            phase: Phase::Free,
            flying: false,
            generation: 0,
            id: 0,
            operation: BlockOperation::Flush,
            priority: Priority::DEFAULT,
            request: None,
            result: Ok(()),
            memory: [None, None],
            timer: None,
        }
    }

    /// Takes a request, which is to wait.
    pub(crate) fn put(&mut self, name: Name, request: Request, priority: Priority) {
        let Request { id, mut block, .. } = request;
        block.tag = name.tag();
        self.phase = Phase::Waiting;
        self.generation = self.generation.wrapping_add(1);
        (self.id, self.operation, self.priority) = (id, block.operation, priority);
        self.request = Some(block);
    }
}
