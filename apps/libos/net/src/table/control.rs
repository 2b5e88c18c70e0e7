//! Frames by which the link and the address are kept: they wait apart from all others, and each kind apart from the
//! others, so that no flood takes the room of what ends it or of what everything else stands on.

use crate::table::queue::{FrameStore, Full, Queue};
use reflex_hil::Frame;

/// Kinds of such frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// ARP and neighbour discovery.
    Neighbours,
    /// To the DHCP client.
    Dhcp,
    /// ICMP errors.
    Errors,
}

/// Most frames of each kind that wait.
const LIMITS: [u16; 3] = [64, 16, 16];

/// The queues of all kinds.
pub(crate) struct Control {
    store: FrameStore,
    queues: [Queue; LIMITS.len()],
}

impl Control {
    /// Queues of a stack that has `frames` wait at most. Of few each kind has an eighth.
    pub(crate) fn new(frames: u32) -> Self {
        let eighth = u16::try_from(frames / 8).unwrap_or(u16::MAX).max(1);
        let limits = LIMITS.map(|limit| limit.min(eighth));
        let all = limits.into_iter().map(u32::from).sum();
        Self { store: FrameStore::new(all), queues: limits.map(Queue::new) }
    }

    /// Frames that may wait here, all together.
    pub(crate) fn capacity(&self) -> u32 {
        self.store.left()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(Queue::is_empty)
    }

    pub(crate) fn push(&mut self, kind: Kind, frame: &mut Option<Frame>) -> Result<(), Full> {
        self.store.push(&mut self.queues[kind as usize], frame)
    }

    /// The oldest frame of the kind with this number, if there is one.
    pub(crate) fn pop(&mut self, number: usize) -> Option<Frame> {
        self.store.pop(self.queues.get_mut(number)?)
    }
}

/// How many kinds there are.
pub(crate) const KINDS: usize = LIMITS.len();
