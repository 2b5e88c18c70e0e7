//! The connection manager where the port works: its messages, timer and listeners.

use crate::connection::{Failure, PrivateData};
use crate::front::Listening;
use crate::negotiate::Known;
use crate::pair::{engine_time, source_port};
use crate::port::Port;
use crate::rdma::Inner;
use crate::table::Name;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use reflex_driver_api::Link;
use reflex_event::{Instant, Kernel};
use reflex_rdma_device::{Sending, send};
use reflex_rdma_engine::cm::{
    self, Actions, Agent, Event, GeneralService, ListenerId, Parameters, Route,
};
use reflex_rdma_wire::cm::{CommId, Mad, RejectReason, ServiceId};
use reflex_rdma_wire::{Qpn, Transport, Unverified};

/// Messages that may wait for a buffer or a neighbour's address; others are sent again anyway.
const WAITING: usize = 32;

pub(crate) struct Service {
    pub(crate) agent: Agent,
    sender: GeneralService,
    waiting: VecDeque<(Route, [u8; Mad::LENGTH])>,
    /// By the manager's names.
    pub(crate) known: BTreeMap<u32, Known>,
    /// The manager's names by the applications'.
    pub(crate) names: BTreeMap<u32, CommId>,
    pub(crate) listeners: BTreeMap<u64, (ListenerId, Name)>,
    /// What the manager told and is to be dealt with, and whether somebody is at it.
    told: VecDeque<Told>,
    telling: bool,
    /// When the timer is set to expire.
    armed: Option<Instant>,
    refused: u32,
}

/// What the manager told, until it has returned.
pub(crate) enum Told {
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
    link: &'a mut dyn Link,
    sender: &'a mut GeneralService,
    waiting: &'a mut VecDeque<(Route, [u8; Mad::LENGTH])>,
    told: &'a mut VecDeque<Told>,
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
                Told::Requested { id: request.id, service: request.service, transport, from, data }
            }
            Event::Reply { id, parameters, private_data } => {
                Told::Reply { id, parameters, data: PrivateData::received(private_data) }
            }
            Event::Established { id, private_data } => {
                Told::Connected { id, data: PrivateData::received(private_data) }
            }
            Event::Rejected { id, reason, private_data, .. } => {
                Told::Rejected { id, reason, data: PrivateData::received(private_data) }
            }
            Event::Failed { id, failure } => Told::Failed {
                id,
                why: match failure {
                    cm::Failure::TimedOut => Failure::Unanswered,
                    cm::Failure::Stale => Failure::Stale,
                },
            },
            Event::Disconnected { id, .. } => Told::Disconnected { id },
            Event::Released { id } => Told::Released { id },
            // Nobody resolves, and nobody listens for that.
            Event::ResolutionRequest(_)
            | Event::Resolved { .. }
            | Event::ResolutionRejected { .. } => {
                return;
            }
        });
    }
}

/// Sends a message; false when it has to wait.
fn emit(
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
            names: BTreeMap::new(),
            listeners: BTreeMap::new(),
            told: VecDeque::with_capacity(WAITING),
            telling: false,
            armed: None,
            refused: 0,
        }
    }

    pub(crate) fn find(&self, name: u32) -> Option<CommId> {
        self.names.get(&name).copied()
    }
}

impl<K: Kernel> Port<K> {
    /// Runs `work` on the connection manager, does what it wants done, and sets its timer.
    pub(crate) fn with_agent<R>(
        &mut self,
        link: &mut dyn Link,
        work: impl FnOnce(&mut Agent, &mut Doing<'_>) -> R,
    ) -> R {
        let Service { agent, sender, waiting, told, .. } = &mut self.service;
        let result = work(agent, &mut Doing { link, sender, waiting, told });
        // What is told while that is dealt with comes after it.
        if !core::mem::replace(&mut self.service.telling, true) {
            while let Some(next) = self.service.told.pop_front() {
                self.told(next, link);
            }
            self.service.telling = false;
            self.arm_service();
        }
        let refused = self.service.agent.counters().total();
        let more = refused.wrapping_sub(core::mem::replace(&mut self.service.refused, refused));
        if more != 0 {
            self.inner.with(|shared| shared.counters.connection_refused += u64::from(more));
        }
        result
    }

    fn arm_service(&mut self) {
        let Some(deadline) = self.service.agent.deadline() else { return };
        let deadline = Instant::from_nanos(deadline.as_nanos());
        if self.service.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        if let Ok(events) = self.inner.events()
            && self.inner.kernel.arm(events.connections, deadline, None).is_ok()
        {
            self.service.armed = Some(deadline);
        }
    }

    /// A message has come.
    pub(crate) fn message(&mut self, packet: Unverified<'_>, link: &mut dyn Link) {
        let Ok(packet) = packet.verify() else {
            self.inner.with(|shared| shared.counters.malformed += 1);
            return;
        };
        let now = engine_time(self.inner.kernel.now());
        self.with_agent(link, |agent, doing| agent.receive(&packet, now, doing));
    }

    /// Time has come for messages.
    pub(crate) fn expire_service(&mut self, link: &mut dyn Link) {
        let now = self.inner.kernel.now();
        if self.service.armed.is_some_and(|armed| armed <= now) {
            self.service.armed = None;
        }
        self.with_agent(link, |agent, doing| agent.expire(engine_time(now), doing));
    }

    /// Messages that waited may go. Those that cannot wait on, in their order.
    pub(crate) fn resume_service(&mut self, link: &mut dyn Link) {
        let Service { waiting, sender, .. } = &mut self.service;
        for _ in 0..waiting.len() {
            let Some((route, mad)) = waiting.pop_front() else { return };
            if !emit(link, sender, &route, &mad) {
                waiting.push_back((route, mad));
            }
        }
    }

    pub(crate) fn open(&mut self, listen: &cm::Listen, channel: Name) {
        let service = listen.service;
        let there = |it: &Listening| it.service == service && it.channel == channel;
        if !self.inner.with(|shared| shared.listening.iter().any(there)) {
            // Given up meanwhile.
            return;
        }
        // Whoever asked knows that the port was free, and there are as many places.
        if let Ok(listener) = self.service.agent.listen(listen) {
            self.service.listeners.insert(service.0, (listener, channel));
        }
    }

    pub(crate) fn close(&mut self, service: ServiceId) {
        if let Some((listener, _)) = self.service.listeners.remove(&service.0) {
            // It is open, or it would not have been there.
            let _ = self.service.agent.close(listener);
        }
    }
}
