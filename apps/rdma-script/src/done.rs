//! Completions that a script can keep.

use reflex::Lent;
use reflex::rdma::{Completion, Kind, Qpn, Status};

/// Work that is done, with its memory.
#[derive(Debug)]
pub struct Done {
    /// The work's.
    pub id: u64,
    /// How it ended.
    pub status: Status,
    /// What it was.
    pub kind: Kind,
    /// Of which queue pair.
    pub pair: Qpn,
    /// From which, if it is a datagram.
    pub source: Qpn,
    /// The number that came with the message, if one did.
    pub immediate: Option<u32>,
    /// Bytes received, without a datagram's route.
    pub length: usize,
    /// The memory that the work was posted with.
    pub bytes: Option<Lent<[u8]>>,
}

impl Done {
    pub(crate) fn of(completion: &mut Completion<'_>) -> Self {
        Self {
            id: completion.id,
            status: completion.status,
            kind: completion.kind,
            pair: completion.queue_pair,
            source: completion.source,
            immediate: completion.immediate(),
            length: completion.length,
            bytes: completion.take_bytes(),
        }
    }

    /// Whether it is a message's, or a write's with a number.
    pub fn is_receive(&self) -> bool {
        self.kind.is_receive()
    }
}
