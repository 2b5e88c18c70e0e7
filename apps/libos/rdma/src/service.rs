//! The connection manager where the port works: its messages, and what it has applications told.

use crate::connection::{Happening, Occurred, PrivateData, service};
use crate::front::Phase;
use crate::pair::{engine_time, source_port};
use crate::port::Port;
use crate::rdma::Inner;
use crate::{Accept, Connect};
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use reflex_driver_api::Link;
use reflex_event::{Instant, Kernel};
use reflex_rdma_device::{Received, send};
use reflex_rdma_engine::State;
use reflex_rdma_engine::cm::{
    self, Actions, Agent, Event, GeneralService, ListenerId, Parameters, Route,
};
use reflex_rdma_wire::cm::{CommId, Mad, RejectReason, ServiceId};
use reflex_rdma_wire::{Gid, Psn, Qpn, Transport};

/// Messages that may wait for a buffer or a neighbour's address; others are sent again anyway.
const WAITING: usize = 32;

pub(crate) struct Service {
    agent: Agent,
    sender: GeneralService,
    waiting: VecDeque<(Route, [u8; Mad::LENGTH])>,
    /// By the manager's names.
    known: BTreeMap<u32, Known>,
    /// The manager's names by the applications'.
    names: BTreeMap<u32, CommId>,
    listeners: BTreeMap<u64, (ListenerId, u16)>,
    /// When the timer is set to expire.
    armed: Option<Instant>,
    refused: u32,
}

/// What is known of a connection.
#[derive(Clone, Copy)]
struct Known {
    name: u32,
    channel: u16,
    pair: Option<Qpn>,
}

/// What the manager told, until it has returned.
enum Told {
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
    },
    Disconnected {
        id: CommId,
    },
    Released {
        id: CommId,
    },
}

/// What the manager does during a call.
struct Doing<'a> {
    link: &'a mut dyn Link,
    sender: &'a mut GeneralService,
    waiting: &'a mut VecDeque<(Route, [u8; Mad::LENGTH])>,
    told: VecDeque<Told>,
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
            Event::Failed { id, .. } => Told::Failed { id },
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
    // What the interface cannot carry is lost, and sent again.
    send(link, route.remote, length, &mut write).unwrap_or(true)
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
            armed: None,
            refused: 0,
        }
    }

    fn call<R>(
        &mut self,
        link: &mut dyn Link,
        work: impl FnOnce(&mut Agent, &mut Doing<'_>) -> R,
    ) -> (R, VecDeque<Told>) {
        let Self { agent, sender, waiting, .. } = self;
        let mut doing = Doing { link, sender, waiting, told: VecDeque::new() };
        let result = work(agent, &mut doing);
        (result, doing.told)
    }

    fn find(&self, name: u32) -> Option<CommId> {
        self.names.get(&name).copied()
    }
}

impl<K: Kernel> Port<K> {
    /// Runs `work` on the connection manager, does what it wants done, and sets its timer.
    fn with_agent<R>(
        &mut self,
        link: &mut dyn Link,
        work: impl FnOnce(&mut Agent, &mut Doing<'_>) -> R,
    ) -> R {
        let (result, mut told) = self.service.call(link, work);
        while let Some(next) = told.pop_front() {
            told.extend(self.told(next, link));
        }
        let refused = self.service.agent.counters().total();
        let more = refused.wrapping_sub(core::mem::replace(&mut self.service.refused, refused));
        if more != 0 {
            self.inner.with(|shared| shared.counters.connection_refused += u64::from(more));
        }
        self.arm_service();
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
    pub(crate) fn message(&mut self, received: &Received, link: &mut dyn Link) {
        let Ok(Ok(packet)) = received.packet().map(|packet| packet.verify()) else {
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

    /// Messages that waited may go.
    pub(crate) fn resume_service(&mut self, link: &mut dyn Link) {
        for _ in 0..self.service.waiting.len() {
            let Some((route, mad)) = self.service.waiting.front() else { return };
            if !emit(link, &mut self.service.sender, route, mad) {
                return;
            }
            self.service.waiting.pop_front();
        }
    }

    pub(crate) fn open(&mut self, listen: &cm::Listen, channel: u16) {
        // Whoever asked knows that the port was free, and there are as many places.
        if let Ok(listener) = self.service.agent.listen(listen) {
            self.service.listeners.insert(listen.service.0, (listener, channel));
        }
    }

    pub(crate) fn close(&mut self, service: ServiceId) {
        if let Some((listener, _)) = self.service.listeners.remove(&service.0) {
            // It is open, or it would not have been there.
            let _ = self.service.agent.close(listener);
        }
    }

    pub(crate) fn connect(
        &mut self,
        pair: Qpn,
        known: (u32, u16),
        (address, port): (IpAddr, u16),
        connect: &Connect,
        link: &mut dyn Link,
    ) {
        let (name, channel) = known;
        let known = Known { name, channel, pair: Some(pair) };
        let local = self.inner.local(address).filter(|_| self.pair(pair).is_some());
        let Some(local) = local else { return self.tell(known, Happening::Failed) };
        let route = Route { local, remote: Gid::from(address) };
        let now = engine_time(self.inner.kernel.now());
        let (mtu, psn) = (self.inner.mtu, self.random_psn());
        let transport = self.pair(pair).map_or(Transport::Reliable, |it| it.engine.transport());
        let Ok(service) = service(transport, port) else {
            return self.tell(known, Happening::Failed);
        };
        let request = cm::Connect {
            service,
            transport,
            mtu,
            source_port: 0xc000 | name as u16 & 0x3fff,
            responder_resources: connect.reads,
            initiator_depth: connect.reads,
            retries: connect.retries,
            rnr_retries: connect.rnr_retries,
            shared_receive_queue: self.pair(pair).is_some_and(|pair| pair.share.is_some()),
            private_data: connect.data.as_bytes(),
            ..cm::Connect::port(route, port, pair, psn)
        };
        let begun = self.with_agent(link, |agent, doing| agent.connect(&request, now, doing));
        match begun {
            Ok(id) => {
                self.service.known.insert(id.0, known);
                self.service.names.insert(name, id);
            }
            Err(_) => self.tell(known, Happening::Failed),
        }
    }

    pub(crate) fn accept(&mut self, name: u32, pair: Qpn, accept: &Accept, link: &mut dyn Link) {
        let Some(id) = self.service.find(name) else { return };
        let Some(known) = self.service.known.get_mut(&id.0) else { return };
        known.pair = Some(pair);
        let (known, psn) = (*known, self.random_psn());
        let shared_receive_queue = self.pair(pair).is_some_and(|pair| pair.share.is_some());
        let answer = cm::Accept {
            responder_resources: accept.reads,
            initiator_depth: accept.reads,
            rnr_retries: accept.rnr_retries,
            shared_receive_queue,
            private_data: accept.data.as_bytes(),
            ..cm::Accept::new(pair, psn)
        };
        // Ready before the peer hears of it: its first packet may come right behind.
        let fit = self.pair(pair).is_some_and(|pair| pair.engine.state() == State::Init);
        let now = engine_time(self.inner.kernel.now());
        let accepted = fit
            .then(|| self.with_agent(link, |agent, doing| agent.accept(id, &answer, now, doing)));
        let ready = match accepted {
            Some(Ok(parameters)) => self.bring_up(pair, &parameters),
            _ => false,
        };
        if !ready {
            self.refuse(id, RejectReason::NO_QP, &[], link);
            self.tell(known, Happening::Failed);
        }
    }

    /// Ends a request or a reply.
    fn refuse(&mut self, id: CommId, reason: RejectReason, data: &[u8], link: &mut dyn Link) {
        let now = engine_time(self.inner.kernel.now());
        let refused =
            self.with_agent(link, |agent, doing| agent.reject(id, reason, data, now, doing));
        if refused.is_err() {
            // It was over already, or has come too far for that.
            self.with_agent(link, |agent, doing| agent.abandon(id, now, doing)).ok();
        }
    }

    pub(crate) fn reject(
        &mut self,
        name: u32,
        reason: RejectReason,
        data: &[u8],
        link: &mut dyn Link,
    ) {
        if let Some(id) = self.service.find(name) {
            self.refuse(id, reason, data, link);
        }
    }

    pub(crate) fn disconnect(&mut self, name: u32, link: &mut dyn Link) {
        let Some(id) = self.service.find(name) else { return };
        let now = engine_time(self.inner.kernel.now());
        let ended =
            self.with_agent(link, |agent, doing| agent.disconnect(id, &[], now, doing).is_ok());
        if !ended {
            // It had not come to stand.
            self.refuse(id, RejectReason::CONSUMER, &[], link);
        }
        if let Some(pair) = self.service.known.get(&id.0).and_then(|known| known.pair) {
            self.take_down(pair);
        }
    }

    /// All connections of a queue pair that is gone end.
    pub(crate) fn abandon(&mut self, pair: Qpn, link: &mut dyn Link) {
        let of_pair = |(id, known): (&u32, &Known)| (known.pair == Some(pair)).then_some(*id);
        let Some(id) = self.service.known.iter().find_map(of_pair) else { return };
        if let Some(known) = self.service.known.get(&id).copied() {
            self.disconnect(known.name, link);
        }
    }

    fn told(&mut self, told: Told, link: &mut dyn Link) -> VecDeque<Told> {
        match told {
            Told::Requested { id, service, transport, from, data } => {
                let Some((_, channel)) = self.service.listeners.get(&service.0).copied() else {
                    self.refuse(id, RejectReason::INVALID_SERVICE_ID, &[], link);
                    return VecDeque::new();
                };
                let name = self.inner.with(|shared| {
                    shared.names = shared.names.wrapping_add(1);
                    shared.names
                });
                let known = Known { name, channel, pair: None };
                self.service.known.insert(id.0, known);
                self.service.names.insert(name, id);
                let port = service.to_ip().map_or(0, |(_, port)| port);
                self.tell(known, Happening::Requested { transport, port, from, data });
            }
            Told::Reply { id, parameters, data } => {
                let Some(known) = self.service.known.get(&id.0).copied() else {
                    return VecDeque::new();
                };
                let up = known.pair.is_some_and(|pair| self.bring_up(pair, &parameters));
                if !up {
                    self.refuse(id, RejectReason::NO_QP, &[], link);
                    self.tell(known, Happening::Failed);
                    return VecDeque::new();
                }
                let (result, told) =
                    self.service.call(link, |agent, doing| agent.establish(id, &[], doing));
                if result.is_ok() {
                    self.connected(known, data);
                }
                return told;
            }
            Told::Connected { id, data } => {
                if let Some(known) = self.service.known.get(&id.0).copied() {
                    self.connected(known, data);
                }
            }
            Told::Rejected { id, reason, data } => {
                self.over(id, Happening::Rejected { reason, data });
            }
            Told::Failed { id } => self.over(id, Happening::Failed),
            Told::Disconnected { id } => self.over(id, Happening::Disconnected),
            Told::Released { id } => {
                if let Some(known) = self.service.known.remove(&id.0) {
                    self.service.names.remove(&known.name);
                }
            }
        }
        VecDeque::new()
    }

    fn connected(&mut self, known: Known, data: PrivateData) {
        if let Some(pair) = known.pair {
            self.set_phase(pair, Phase::Ready);
        }
        self.tell(known, Happening::Connected { data });
    }

    fn over(&mut self, id: CommId, what: Happening) {
        let Some(known) = self.service.known.get(&id.0).copied() else { return };
        if let Some(pair) = known.pair {
            let up = self.pair(pair).is_some_and(|pair| pair.engine.state() != State::Init);
            if up {
                self.take_down(pair);
            }
        }
        self.tell(known, what);
    }

    /// Takes a queue pair on its way, with what its peer and this side have agreed.
    fn bring_up(&mut self, pair: Qpn, parameters: &Parameters) -> bool {
        let (rtr, rts) = (parameters.rtr(source_port(pair)), parameters.rts());
        self.modify(pair, State::Rtr, &rtr) && self.modify(pair, State::Rts, &rts)
    }

    fn random_psn(&self) -> Psn {
        let mut random = [0; 4];
        self.inner.kernel.random(&mut random);
        Psn::new(u32::from_ne_bytes(random) & 0xff_ffff)
    }

    /// Has an application told. One that does not take its events loses the connection: the next
    /// message that it is asked for finds nobody.
    fn tell(&mut self, known: Known, what: Happening) {
        let occurred = Occurred { name: known.name, what };
        let mut occurred = Some(occurred);
        let event = self.inner.with(|shared| {
            let channel = shared.channels.get_mut(usize::from(known.channel));
            let room = channel.and_then(Option::as_mut).filter(|it| it.queue.len() < it.size);
            let Some(channel) = room else {
                shared.counters.events_lost += 1;
                return None;
            };
            channel.queue.extend(occurred.take());
            core::mem::take(&mut channel.armed).then_some(channel.event)?
        });
        if let Some(event) = event {
            self.inner.activate(event);
        }
    }
}
