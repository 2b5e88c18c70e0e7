//! What the communication manager wants done: messages sent, and an application told.

use super::{ListenerId, Parameters, Route};
use reflex_rdma_wire::cm::{CommId, IpHeader, Mad, RejectReason, ServiceId, SidrStatus};
use reflex_rdma_wire::{QKey, Qpn};

/// Where messages and events go. Neither may call the communication manager in turn.
pub trait Actions {
    /// Sends a management datagram from queue pair 1 to queue pair 1, for instance by
    /// [`GeneralService::emit`](super::GeneralService::emit). When no buffer is free it may be
    /// dropped: whatever needs an answer is sent again.
    fn send(&mut self, route: &Route, mad: &[u8; Mad::LENGTH]);

    /// Tells an application. What is borrowed lies in the message that was received.
    fn tell(&mut self, event: Event<'_>);
}

/// A request for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionRequest<'a> {
    /// The communication's name from now on.
    pub id: CommId,
    /// The listener that was asked for.
    pub listener: ListenerId,
    /// The service by which it was asked for.
    pub service: ServiceId,
    /// Addresses and source port as the peer gave them, if the service is an IP port.
    pub ip: Option<IpHeader>,
    /// What the peer proposes. Of it, this side's queue pair and the number that the peer begins
    /// with are zero: they are the application's to choose.
    pub parameters: Parameters,
    /// What the peer's application added. Zeros follow it to the end of the message.
    pub private_data: &'a [u8],
}

/// A request for a datagram queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResolutionRequest<'a> {
    /// The request's name from now on.
    pub id: CommId,
    /// The listener that was asked for.
    pub listener: ListenerId,
    /// The service by which it was asked for.
    pub service: ServiceId,
    /// Between which ports.
    pub route: Route,
    /// Addresses and source port as the peer gave them, if the service is an IP port.
    pub ip: Option<IpHeader>,
    /// What the peer's application added. Zeros follow it to the end of the message.
    pub private_data: &'a [u8],
}

/// Why a connection did not come about, other than that the peer rejected it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// The peer did not answer.
    TimedOut,
    /// The peer uses the queue pair for another connection.
    Stale,
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The peer asked for it.
    Peer,
    /// This side did, and the peer confirmed, or has no connection any more.
    Local,
    /// This side did, and the peer did not answer.
    Unanswered,
    /// The peer does not know the connection, or rejected it late.
    Rejected(RejectReason),
    /// The peer uses its queue pair for another connection.
    Stale,
}

/// What an application is told of its communications.
///
/// ```text
///  connect --> Reply -----> (establish) --.
///          `-> Rejected, Failed           |--> Disconnected --> Released
///  ConnectionRequest --> (accept) --> Established --'
///                              `-> Rejected, Failed, Disconnected --> Released
/// ```
///
/// Each communication ends with exactly one [`Event::Released`]: one that [`Agent::connect`]
/// or [`Agent::resolve`] named, and one that a request brought.
///
/// [`Agent::connect`]: super::Agent::connect
/// [`Agent::resolve`]: super::Agent::resolve
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// Somebody asks for a connection: accept or reject.
    ConnectionRequest(ConnectionRequest<'a>),
    /// The peer accepted: bring the queue pair up with the parameters, then establish; or reject.
    Reply {
        /// Which.
        id: CommId,
        /// What the queue pair is to be told.
        parameters: Parameters,
        /// What the peer's application added.
        private_data: &'a [u8],
    },
    /// The peer confirmed the connection that was accepted, or its first packet did.
    Established {
        /// Which.
        id: CommId,
        /// What the peer's application added; empty when a packet confirmed it.
        private_data: &'a [u8],
    },
    /// The peer refused, or gave up.
    Rejected {
        /// Which.
        id: CommId,
        /// Why.
        reason: RejectReason,
        /// More about the reason.
        info: &'a [u8],
        /// What the peer's application added.
        private_data: &'a [u8],
    },
    /// The connection or resolution did not come about.
    Failed {
        /// Which.
        id: CommId,
        /// Why.
        failure: Failure,
    },
    /// The connection has ended: the queue pair is to be taken to ERR. Told once a connection that
    /// was established, and of one that was not if the peer ended it so.
    Disconnected {
        /// Which.
        id: CommId,
        /// Why.
        cause: Cause,
        /// What the peer's application added.
        private_data: &'a [u8],
    },
    /// Somebody asks for a datagram queue pair: answer or reject. A peer that missed the answer
    /// asks again, by another event.
    ResolutionRequest(ResolutionRequest<'a>),
    /// The peer named the queue pair.
    Resolved {
        /// Which.
        id: CommId,
        /// The queue pair.
        qpn: Qpn,
        /// Its key.
        qkey: QKey,
        /// What the peer's application added.
        private_data: &'a [u8],
    },
    /// The peer does not.
    ResolutionRejected {
        /// Which.
        id: CommId,
        /// Why.
        status: SidrStatus,
        /// More about the status.
        info: &'a [u8],
        /// What the peer's application added.
        private_data: &'a [u8],
    },
    /// Nothing is left of the communication: its queue pair's number may be used again, and its
    /// own name means nothing any more.
    Released {
        /// Which.
        id: CommId,
    },
}

impl Event<'_> {
    /// Which communication it is about.
    pub const fn id(&self) -> CommId {
        match self {
            Self::ConnectionRequest(ConnectionRequest { id, .. })
            | Self::ResolutionRequest(ResolutionRequest { id, .. })
            | Self::Reply { id, .. }
            | Self::Established { id, .. }
            | Self::Rejected { id, .. }
            | Self::Failed { id, .. }
            | Self::Disconnected { id, .. }
            | Self::Resolved { id, .. }
            | Self::ResolutionRejected { id, .. }
            | Self::Released { id } => *id,
        }
    }
}
