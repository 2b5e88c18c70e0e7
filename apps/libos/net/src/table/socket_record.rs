//! A UDP socket as the demultiplexer, the stack and the application share it.

use crate::table::datagram_queue::DatagramQueue;
use crate::table::queue::Queue;
use crate::table::waiter::Waiter;
use reflex_event::{EventId, Owner, Priority};

/// Bytes in front of a datagram's payload: IPv4 and UDP headers.
pub(crate) const HEADERS: usize = 28;
/// Most bytes copied to or from a send queue in one section.
pub(crate) const PIECE: usize = 256;

pub(crate) struct UdpRecord {
    pub(crate) queue: Queue,
    pub(crate) receive_event: Option<EventId>,
    pub(crate) send_event: Option<EventId>,
    pub(crate) unsent: DatagramQueue<&'static mut [u8]>,
    pub(crate) priority: Priority,
    /// In one of the stack's waiting lists, and the one behind it there.
    pub(crate) waiting: bool,
    pub(crate) next_waiting: Option<Waiter>,
    /// The context that serves it, and in which of its lives.
    pub(crate) owner: Owner,
    pub(crate) port: u16,
    /// The owner has been given up.
    pub(crate) orphaned: bool,
}

impl UdpRecord {
    /// With room for so many received frames, and `buffer` for datagrams to be sent.
    pub(crate) fn new(
        owner: Owner,
        port: u16,
        priority: Priority,
        frames: u16,
        buffer: &'static mut [u8],
    ) -> Self {
        Self {
            queue: Queue::new(frames),
            receive_event: None,
            send_event: None,
            unsent: DatagramQueue::new(buffer),
            priority,
            waiting: false,
            next_waiting: None,
            owner,
            port,
            orphaned: false,
        }
    }

    /// Whether it is that owner's: a handle of an earlier life is none of a later one's.
    pub(crate) fn is_of(&self, owner: Owner) -> bool {
        self.owner == owner && !self.orphaned
    }
}
