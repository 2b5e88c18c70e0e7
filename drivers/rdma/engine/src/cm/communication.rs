//! What is kept of a communication.

use super::{ListenerId, Parameters, Route, State};
use reflex_rdma_wire::AckTimeout;
use reflex_rdma_wire::cm::{CommId, Mad, ServiceId};

/// Which side began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Active,
    Passive,
}

/// A communication: connection or resolution.
#[derive(Clone, Debug)]
pub(super) struct Communication {
    pub(super) state: State,
    pub(super) role: Role,
    pub(super) service: ServiceId,
    /// The peer's name for it; zero when not known yet.
    pub(super) remote_id: CommId,
    /// That of the message which began it.
    pub(super) transaction: u64,
    /// The listener that has it in its backlog.
    pub(super) listener: Option<ListenerId>,
    /// Route included, for resolutions too.
    pub(super) parameters: Parameters,
    /// How much time the peer is told to allow when it asks again.
    pub(super) service_timeout: AckTimeout,
    /// Nanoseconds between two tries.
    pub(super) interval: u64,
    /// How often a message is sent again.
    pub(super) retries: u8,
    /// How often this one still is.
    pub(super) tries_left: u8,
    /// An MRA may prolong the wait: once a try, so that nobody can hold it for ever.
    pub(super) may_prolong: bool,
    /// What was sent last and may have to be sent again.
    pub(super) mad: [u8; Mad::LENGTH],
}

impl Communication {
    pub(super) const fn none() -> Self {
        Self {
            state: State::TimeWait,
            role: Role::Active,
            service: ServiceId(0),
            remote_id: CommId(0),
            transaction: 0,
            listener: None,
            parameters: Parameters::none(),
            service_timeout: AckTimeout::from_code(0),
            interval: 0,
            retries: 0,
            tries_left: 0,
            may_prolong: false,
            mad: [0; Mad::LENGTH],
        }
    }

    pub(super) const fn route(&self) -> Route {
        self.parameters.route
    }
}
