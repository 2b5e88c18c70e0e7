//! What can happen to a connection, and how many events of it are told.

use crate::private_data::PrivateData;
use core::fmt;
use core::net::IpAddr;
use reflex_rdma_wire::cm::RejectReason;
use reflex_rdma_wire::{QKey, Qpn, Transport};

/// What has happened to a connection, on its way.
pub(crate) struct Occurred {
    pub(crate) handle: u64,
    pub(crate) what: ConnectionChange,
}

/// Why a connection did not come about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// The peer did not answer.
    Unanswered,
    /// The peer uses its queue pair for another connection.
    Stale,
    /// The interface has no address on the peer's network any more.
    NoAddress,
    /// The queue pair is gone, has failed, or is of another transport than was asked for.
    QueuePair,
    /// The port has as many connections as it was made for.
    LimitReached,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unanswered => "the peer does not answer",
            Self::Stale => "the peer's queue pair is in another connection",
            Self::NoAddress => "the interface has no address on the peer's network",
            Self::QueuePair => "the queue pair is not fit for the connection",
            Self::LimitReached => "the port has no place for another connection",
        })
    }
}

/// What can happen to a connection. Each ends with one of `Resolved`, `Rejected`, `Failed` and `Disconnected`, but
/// one that was rejected here, of which nothing more is told, and one that a datagram queue pair was named to.
///
/// ```text
///  resolve -> Resolved | Rejected | Failed | Disconnected
///  connect -> Connected | Rejected | Failed | Disconnected       Connected -> Disconnected
///  Requested -> (accept) -> Connected | Rejected | Failed | Disconnected
///           `-> (reject)
/// ```
#[derive(Clone, Copy, Debug)]
pub enum ConnectionChange {
    /// A peer asks for one: it is to be accepted or rejected.
    Requested {
        /// The transport that it is to have.
        transport: Transport,
        /// The port that it asks for.
        port: u16,
        /// The address and port that ask, as the peer says itself.
        from: Option<(IpAddr, u16)>,
        /// What its application says.
        data: PrivateData,
    },
    /// The peer has named the datagram queue pair that was asked for.
    Resolved {
        /// The queue pair.
        queue_pair: Qpn,
        /// What datagrams to it have to have.
        key: QKey,
        /// What the peer's application says.
        data: PrivateData,
    },
    /// It stands: sends may be posted.
    Connected {
        /// What the peer's application says.
        data: PrivateData,
    },
    /// The peer refused, or gave up.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// What its application says.
        data: PrivateData,
    },
    /// It did not come about.
    Failed {
        /// Why.
        why: Failure,
    },
    /// It has ended: what is in flight completes as flushed.
    Disconnected,
}

impl ConnectionChange {
    /// Whether nothing more happens to the connection.
    pub(crate) fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Resolved { .. }
                | Self::Rejected { .. }
                | Self::Failed { .. }
                | Self::Disconnected
        )
    }
}

/// Events that are told at most of a connection that is asked for here: that it stands, and that it
/// has ended.
pub(crate) const ASKED: usize = 2;
/// And of one that is requested, as above.
pub(crate) const REQUESTED: usize = 3;
