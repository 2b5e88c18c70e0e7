//! What a port has counted.

reflex_metrics::counters! {
    /// What a port has counted.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Counters prefixed "reflex_rdma_" {
        /// Frames that came to the RoCE port.
        counter frames,
        /// Of these, dropped: IP, UDP, BTH, their lengths, or the ICRC are wrong.
        counter malformed,
        /// Dropped: for no queue pair.
        counter no_queue_pair,
        /// Dropped: too many waited for the queue pair's priority, or the connection manager's.
        counter queue_full,
        /// Refused by a queue pair, which knows why: see `QueuePair::counters`.
        counter refused,
        /// Frames sent.
        counter sent,
        /// Connection messages dropped: malformed, for nobody, in the wrong state.
        counter connection_refused,
        /// Requests for connections that were rejected because their handler has not taken the events
        /// before them.
        counter unheard,
    }
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
