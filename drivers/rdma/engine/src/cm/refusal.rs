//! What was refused, counted by name. Every datagram is untrusted; none is refused silently.

use crate::refusals::refusals;

refusals! {
    /// Why a management datagram was not taken as it came.
    enum Refusal;
    /// Not a datagram between two queue pairs 1 with their key and partition. Dropped.
    QueuePair: "the packet is no datagram between two queue pairs 1",
    /// Not a management datagram of this class, or one with reserved values. Dropped.
    Malformed: "the datagram is no connection message",
    /// A message that is not spoken here: load and failover of alternate paths. Dropped.
    Attribute: "the connection message is unknown",
    /// About a communication that is unknown here. REP and RTU draw a REJ, DREQ a DREP; others are
    /// dropped.
    UnknownId: "the communication is unknown",
    /// Not from the address the communication is with. Dropped.
    Address: "the message is not from the communication's peer",
    /// Names the communication by another name or queue pair than was agreed. Dropped.
    Instance: "the message means another communication",
    /// It came before. Answered again where an answer may have been lost.
    Duplicate: "the message came before",
    /// The communication's state takes no such message. Dropped.
    State: "the communication's state takes no such message",
    /// Nobody listens there. Rejected.
    Service: "nobody listens for the service",
    /// The listener offers another transport. Rejected.
    Transport: "the service is of another transport",
    /// The path in the request is not the one that the request took. Rejected.
    Path: "the path asked for is not the path taken",
    /// The path MTU is more than the port has. Rejected.
    Mtu: "the path MTU is larger than the port's",
    /// Another partition. Rejected.
    Partition: "the partition is not the port's",
    /// The private data does not begin with addresses and ports. Rejected.
    Header: "the private data has no addresses",
    /// The peer has begun anew with a queue pair or a name that is still connected here, or was until
    /// just now. Rejected, and the old connection ended.
    Stale: "the peer's queue pair or name is still in use here",
    /// As many requests wait at the listener as it allows. Dropped, so that the peer tries again.
    Backlog: "the listener's backlog is full",
    /// Every communication of the port is taken. Dropped, so that the peer tries again.
    Full: "every communication of the port is taken",
}

/// What a port's communication manager has counted.
#[derive(Clone, Debug)]
pub struct Counters {
    refusals: [u32; Refusal::ALL.len()],
    /// Messages sent, those sent again included.
    pub sent: u32,
    /// Messages sent again because no answer came.
    pub retries: u32,
    /// Times that trying again was given up.
    pub timeouts: u32,
}

impl Counters {
    pub(super) const fn new() -> Self {
        Self { refusals: [0; _], sent: 0, retries: 0, timeouts: 0 }
    }

    /// How often that was refused.
    pub fn refused(&self, refusal: Refusal) -> u32 {
        self.refusals[refusal as usize]
    }

    /// How much was refused in all.
    pub fn total(&self) -> u32 {
        self.refusals.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    pub(super) fn count(&mut self, refusal: Refusal) {
        let counter = &mut self.refusals[refusal as usize];
        *counter = counter.saturating_add(1);
    }
}
