//! What was refused, counted by name. Every packet is untrusted; none is refused silently.

use crate::refusals::refusals;

refusals! {
    /// Why a packet was not taken as it came.
    enum Refusal;
    /// The queue pair's state takes no such packet. Dropped.
    State: "the queue pair's state takes no such packet",
    /// Meant for another queue pair. Dropped.
    QueuePair: "the packet is for another queue pair",
    /// An opcode of another transport. Dropped.
    Transport: "the opcode is of another transport",
    /// Another partition. Dropped.
    Partition: "the packet is of another partition",
    /// Not from the peer's address, or not to this side's. Dropped.
    Address: "the packet is not from the peer's address",
    /// A datagram with another key. Dropped.
    Key: "the datagram has another Q_Key",
    /// A packet before it is missing. RC: NAK, once a gap; UC: the message is dropped.
    Gap: "a packet is missing before this one",
    /// It came before. Sends and writes are acknowledged again, reads and atomics answered again.
    Duplicate: "the request came before",
    /// A duplicate of a read or atomic, but the answer is no longer kept, the key was taken back,
    /// or it asks for something else than it did. Dropped.
    StaleDuplicate: "a duplicate read or atomic is not the one that came before",
    /// Not the opcode that has to follow. RC: NAK, invalid request; UC: the message is dropped.
    Sequence: "the opcode does not follow the one before",
    /// More or less payload than the opcode has, or than announced; or a longer message announced
    /// than [there are](crate::MAX_MESSAGE). RC: NAK, invalid request; others: dropped.
    Length: "the payload's length is not what it has to be",
    /// The queue pair does not permit the operation. RC: NAK, invalid request; UC: dropped.
    Permission: "the queue pair does not permit the operation",
    /// Key, bounds or permission of a region. RC: NAK, remote access error; UC: dropped.
    Access: "key, bounds or permission do not allow the access",
    /// The address of an atomic is not divisible by eight. NAK, invalid request.
    Alignment: "an atomic operation's address is not aligned",
    /// More reads and atomics outstanding than agreed. NAK, invalid request.
    TooManyReads: "more reads and atomics are outstanding than agreed",
    /// No receive is posted. RC: RNR NAK; others: dropped.
    NoReceive: "no receive is posted",
    /// The message is longer than the receive. RC: NAK, remote operational error; others: dropped.
    TooLong: "the message is longer than the receive",
    /// The key to be invalidated is none.
    Invalidate: "the key to invalidate is unknown",
    /// The receive's own memory was gone. RC: NAK, remote operational error.
    ReceiveMemory: "the receive's memory is no longer registered",
    /// Memory that a read was being answered from was gone. NAK, remote access error.
    ReadMemory: "the memory of a read is no longer registered",
    /// An answer to nothing that was asked. Dropped.
    Ghost: "an answer to nothing that was asked",
    /// An answer that came before. Dropped.
    DuplicateAnswer: "the answer came before",
    /// An answer is missing before this one: the request is repeated.
    AnswerGap: "an answer is missing before this one",
    /// An answer with a payload or opcode that was not asked for. Dropped.
    AnswerMismatch: "the answer is not what was asked for",
}

/// What a queue pair has counted.
#[derive(Clone, Debug)]
pub struct Counters {
    refusals: [u32; Refusal::ALL.len()],
    total: u32,
    /// Times an acknowledge was waited for in vain.
    pub timeouts: u32,
    /// Times requests were sent again, for whatever reason but a receiver that was not ready.
    pub retries: u32,
    /// Times the peer had no receive.
    pub not_ready: u32,
    /// NAKs sent, RNR NAKs among them.
    pub naks: u32,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self { refusals: [0; _], total: 0, timeouts: 0, retries: 0, not_ready: 0, naks: 0 }
    }

    /// How often that was refused.
    #[inline]
    pub fn refused(&self, refusal: Refusal) -> u32 {
        self.refusals[refusal as usize]
    }

    /// How much was refused in all.
    #[inline]
    pub fn total(&self) -> u32 {
        self.total
    }

    #[inline]
    pub(crate) fn count(&mut self, refusal: Refusal) {
        let counter = &mut self.refusals[refusal as usize];
        *counter = counter.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }
}
