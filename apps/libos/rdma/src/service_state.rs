//! The connection manager, what is known of its connections, and what it does during a call.

use crate::connection_event::Failure;
use crate::inner::Inner;
use crate::pair_state::source_port;
use crate::private_data::PrivateData;
use crate::table::Handle;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use reflex_event::{Instant, Kernel};
use reflex_hil::Link;
use reflex_rdma_device::{Sending, send};
use reflex_rdma_engine::cm::{
    self, Actions, Agent, Event, GeneralService, ListenerId, Parameters, Route,
};
use reflex_rdma_wire::cm::{CommId, Mad, RejectReason, ServiceId, SidrStatus};
use reflex_rdma_wire::{QKey, Qpn, Transport};

/// What is known of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) handle: u64,
    /// The channel that is told of it.
    pub(crate) channel: Handle,
    pub(crate) pair: Option<Handle>,
    /// Events for which the channel keeps places.
    pub(crate) promised: usize,
}

/// Messages that may wait for a buffer or a neighbour's address; others are sent again anyway.
const WAITING: usize = 32;

pub(crate) struct Service {
    pub(crate) agent: Agent,
    pub(crate) sender: GeneralService,
    pub(crate) waiting: VecDeque<(Route, [u8; Mad::LENGTH])>,
    /// By the manager's names.
    pub(crate) known: BTreeMap<u32, Known>,
    /// The manager's names by the applications'.
    pub(crate) handles: BTreeMap<u64, CommId>,
    pub(crate) listeners: BTreeMap<u64, (ListenerId, Handle)>,
    /// What the manager told and is to be dealt with, and whether somebody is at it.
    pub(crate) told: VecDeque<AgentEvent>,
    pub(crate) telling: bool,
    /// When the timer is set to expire.
    pub(crate) armed: Option<Instant>,
    pub(crate) refused: u32,
}

/// What the manager told, until it has returned.
pub(crate) enum AgentEvent {
    Requested {
        id: CommId,
        service: ServiceId,
        transport: Transport,
        from: Option<(IpAddr, u16)>,
        data: PrivateData,
    },
    Reply {
        id: CommId,
        parameters: Parameters,
        data: PrivateData,
    },
    Resolved {
        id: CommId,
        queue_pair: Qpn,
        key: QKey,
        data: PrivateData,
    },
    Connected {
        id: CommId,
        data: PrivateData,
    },
    Rejected {
        id: CommId,
        reason: RejectReason,
        data: PrivateData,
    },
    Failed {
        id: CommId,
        why: Failure,
    },
    Disconnected {
        id: CommId,
    },
    Released {
        id: CommId,
    },
}

/// What the manager does during a call.
pub(crate) struct Doing<'a> {
    pub(crate) link: &'a mut dyn Link,
    pub(crate) sender: &'a mut GeneralService,
    pub(crate) waiting: &'a mut VecDeque<(Route, [u8; Mad::LENGTH])>,
    pub(crate) told: &'a mut VecDeque<AgentEvent>,
}

impl Actions for Doing<'_> {
    fn send(&mut self, route: &Route, mad: &[u8; Mad::LENGTH]) {
        if !emit(self.link, self.sender, route, mad) && self.waiting.len() < WAITING {
            self.waiting.push_back((*route, *mad));
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.told.push_back(match event {
            Event::ConnectionRequest(request) => {
                let from = request.ip.map(|ip| (ip.source.to_ip(), ip.source_port));
                let data = PrivateData::received(request.private_data);
                let transport = request.parameters.transport;
                AgentEvent::Requested {
                    id: request.id,
                    service: request.service,
                    transport,
                    from,
                    data,
                }
            }
            Event::Reply { id, parameters, private_data } => {
                AgentEvent::Reply { id, parameters, data: PrivateData::received(private_data) }
            }
            Event::Established { id, private_data } => {
                AgentEvent::Connected { id, data: PrivateData::received(private_data) }
            }
            Event::Rejected { id, reason, private_data, .. } => {
                AgentEvent::Rejected { id, reason, data: PrivateData::received(private_data) }
            }
            Event::Failed { id, failure } => AgentEvent::Failed {
                id,
                why: match failure {
                    cm::Failure::TimedOut => Failure::Unanswered,
                    cm::Failure::Stale => Failure::Stale,
                },
            },
            Event::Disconnected { id, .. } => AgentEvent::Disconnected { id },
            Event::Released { id } => AgentEvent::Released { id },
            Event::ResolutionRequest(request) => AgentEvent::Requested {
                id: request.id,
                service: request.service,
                transport: Transport::Datagram,
                from: request.ip.map(|ip| (ip.source.to_ip(), ip.source_port)),
                data: PrivateData::received(request.private_data),
            },
            Event::Resolved { id, qpn, qkey, private_data } => AgentEvent::Resolved {
                id,
                queue_pair: qpn,
                key: qkey,
                data: PrivateData::received(private_data),
            },
            Event::ResolutionRejected { id, status, private_data, .. } => {
                let reason = match status {
                    SidrStatus::UNSUPPORTED => RejectReason::INVALID_SERVICE_ID,
                    SidrStatus::NO_QP => RejectReason::NO_QP,
                    _ => RejectReason::CONSUMER,
                };
                AgentEvent::Rejected { id, reason, data: PrivateData::received(private_data) }
            }
        });
    }
}

/// Sends a message; false when it has to wait.
pub(crate) fn emit(
    link: &mut dyn Link,
    sender: &mut GeneralService,
    route: &Route,
    mad: &[u8; Mad::LENGTH],
) -> bool {
    let mut length = GeneralService::LENGTH;
    if route.remote.ipv4_bytes().is_some() {
        // Its header is shorter by so much.
        length -= 20;
    }
    let mut write = |buffer: &mut [u8]| sender.emit(route, mad, buffer).is_ok();
    // What the interface cannot carry is lost, as on any network.
    matches!(send(link, route.remote, length, &mut write), Sending::Done | Sending::TooLong)
}

impl Service {
    pub(crate) fn new<K: Kernel>(inner: &Inner<K>) -> Self {
        let (mut secret, mut id, mut guid) = ([0; 16], [0; 4], [0; 8]);
        inner.kernel.random(&mut secret);
        inner.kernel.random(&mut id);
        inner.kernel.random(&mut guid);
        let config = cm::Config {
            communications: inner.limits.connections,
            listeners: inner.limits.queues,
            mtu: inner.mtu,
            ..cm::Config::new(u64::from_ne_bytes(guid), secret, u32::from_ne_bytes(id))
        };
        Self {
            agent: Agent::new(&config),
            sender: GeneralService::new(source_port(Qpn::GENERAL_SERVICE)),
            waiting: VecDeque::with_capacity(WAITING),
            known: BTreeMap::new(),
            handles: BTreeMap::new(),
            listeners: BTreeMap::new(),
            told: VecDeque::with_capacity(WAITING),
            telling: false,
            armed: None,
            refused: 0,
        }
    }

    pub(crate) fn find(&self, handle: u64) -> Option<CommId> {
        self.handles.get(&handle).copied()
    }
}
