//! What a queue pair is made with.

use crate::Domain;
use reflex_rdma_wire::{PathMtu, Qpn, Transport};

/// What a queue pair is made with. All of its memory is taken then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// The service it offers.
    pub transport: Transport,
    /// Its number.
    pub number: Qpn,
    /// The protection domain: keys of regions in it are valid for this queue pair.
    pub domain: Domain,
    /// Sends that may be posted at once, at most 2^16.
    pub sends: u32,
    /// Receives that may be posted at once, at most 2^16; `None` when they come from a shared
    /// queue.
    pub receives: Option<u32>,
    /// Segments of a send, at most 2^8.
    pub send_segments: u32,
    /// Segments of a receive, at most 2^8; with a shared queue, as many as that has.
    pub receive_segments: u32,
    /// Reads and atomics of the peer that can be kept for answering again, at most 64.
    pub reads: u8,
    /// Largest payload of a packet on the port; a datagram's longest.
    pub mtu: PathMtu,
    /// Packets that may be unacknowledged before the next is sent, 1 to 2^16. Linux has 128.
    pub window: u32,
    /// Writes of the peer's are told of, by [`Event::Written`](crate::Event::Written), where no completion does.
    pub tells_writes: bool,
}

impl Config {
    /// Of a transport and number, with sizes that suit many.
    pub const fn new(transport: Transport, number: Qpn, domain: Domain) -> Self {
        Self {
            transport,
            number,
            domain,
            sends: 128,
            receives: Some(128),
            send_segments: 4,
            receive_segments: 4,
            reads: 16,
            mtu: PathMtu::B1024,
            window: 128,
            tells_writes: false,
        }
    }
}
