//! What a port has counted.

/// What a port has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames that came to the RoCE port.
    pub frames: u64,
    /// Of these, dropped: IP, UDP, BTH, their lengths, or the ICRC are wrong.
    pub malformed: u64,
    /// Dropped: for no queue pair.
    pub no_queue_pair: u64,
    /// Dropped: too many waited for the queue pair's priority, or the connection manager's.
    pub queue_full: u64,
    /// Refused by a queue pair, which knows why: see
    /// [`QueuePair::counters`](crate::QueuePair::counters).
    pub refused: u64,
    /// Frames sent.
    pub sent: u64,
    /// Connection messages dropped: malformed, for nobody, in the wrong state.
    pub connection_refused: u64,
    /// Requests for connections that were rejected because their handler has not taken the events
    /// before them.
    pub unheard: u64,
}

impl Counters {
    /// Adds what was counted apart.
    pub(crate) fn add(&mut self, tally: &Self) {
        self.frames += tally.frames;
        self.malformed += tally.malformed;
        self.no_queue_pair += tally.no_queue_pair;
        self.queue_full += tally.queue_full;
    }
}
