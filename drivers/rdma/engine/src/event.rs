//! What happens to a queue pair that no completion tells.

/// An affiliated asynchronous event (`ibv_event_type`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The first packet came while the queue pair was only ready to receive
    /// (`IBV_EVENT_COMM_EST`).
    CommunicationEstablished,
    /// A write of the peer's that no completion tells is in its place; of queue pairs that were made to
    /// [tell](crate::Config::tells_writes).
    Written,
    /// In SQD, everything that had begun is done (`IBV_EVENT_SQ_DRAINED`).
    SendQueueDrained,
    /// In ERR, the queue pair takes nothing any more from the shared receive queue
    /// (`IBV_EVENT_QP_LAST_WQE_REACHED`).
    LastReceiveReached,
    /// The shared receive queue holds fewer than its limit; it has to be armed again
    /// (`IBV_EVENT_SRQ_LIMIT_REACHED`).
    ReceiveLimitReached,
    /// The peer asked for something invalid, and the queue pair went to ERR
    /// (`IBV_EVENT_QP_REQ_ERR`).
    InvalidRequest,
    /// The peer asked for what it may not have, and the queue pair went to ERR
    /// (`IBV_EVENT_QP_ACCESS_ERR`).
    AccessRefused,
    /// A local fault took the queue pair to ERR (`IBV_EVENT_QP_FATAL`).
    Fatal,
}
