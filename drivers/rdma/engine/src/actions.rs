//! What the engine's states want done. They do nothing themselves: every effect is one of these.
//!
//! Timers are the other way round: [`QueuePair::deadline`](crate::QueuePair::deadline) says when
//! [`QueuePair::expire`](crate::QueuePair::expire) is to be called.

use crate::{Completion, Event, Outgoing};

/// Where completions and events go.
pub trait Report {
    /// A work request is done. Each is told exactly once (but for sends that succeed and asked not
    /// to be told), and those of a queue in the order they were posted.
    fn complete(&mut self, completion: Completion);

    /// Something happened to the queue pair.
    fn raise(&mut self, event: Event);
}

/// Why a packet was not emitted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TransmitError {
    /// No buffer is free: the packet stays due. Call again when there is one.
    Full,
    /// Its payload's memory is gone, so that it never can be.
    Memory,
}

/// Where packets go.
pub trait Transmit {
    /// Writes a packet, by [`Outgoing::emit`], into a buffer that is then sent.
    ///
    /// # Errors
    /// [`TransmitError`]; the packet was then not sent.
    fn transmit(&mut self, packet: &Outgoing<'_>) -> Result<(), TransmitError>;
}
