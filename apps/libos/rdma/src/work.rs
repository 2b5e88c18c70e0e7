//! Work on its way to the engine, and completions on their way back.

use crate::post::Address;
use crate::table::Handle;
use reflex_rdma_device::SgList;
use reflex_rdma_engine::{Completion, Flags, Work};

/// A send on its way to the engine.
pub(crate) struct SendWork {
    pub(crate) tag: Tag,
    pub(crate) work: Work,
    pub(crate) flags: Flags,
    pub(crate) to: Option<Address>,
    pub(crate) sges: SgList,
}

/// What the application knows a send by.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) id: u64,
    pub(crate) signalled: bool,
}

/// A receive on its way to the engine.
pub(crate) struct ReceiveWork {
    pub(crate) id: u64,
    pub(crate) sges: SgList,
}

/// How far a queue pair has come, as its application may know.
///
/// ```text
///  Fresh --connect, accept--> Connecting --> Ready --> Failed
///    | ^-------- refused ---------'           ^ |        ^
///    `-------------- establish ---------------' `--------'
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It takes receives, and has no peer.
    Fresh,
    /// As before, and a connection of its is on its way.
    Connecting,
    /// It takes sends.
    Ready,
    /// Everything posted is flushed.
    Failed,
}

/// A completion, with its memory: an element of the completion queue (CQE).
pub(crate) struct Cqe {
    /// Of which queue pair.
    pub(crate) pair: Handle,
    pub(crate) completion: Completion,
    pub(crate) id: u64,
    pub(crate) sges: SgList,
    /// Where a place is free again when the application has it.
    pub(crate) from: WorkQueue,
}

/// The work queue that a completion is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkQueue {
    Sends,
    Receives,
    Shared(Handle),
}

impl WorkQueue {
    /// Which of the queue pair's completion queues.
    #[inline]
    pub(crate) fn side(self) -> usize {
        usize::from(self != Self::Sends)
    }
}
