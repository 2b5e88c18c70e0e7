//! The connection manager where the port works: its messages, and what it has applications told.

use crate::connection::{ASKED, Failure, Happening, Occurred, PrivateData, REQUESTED, service};
use crate::front::{Listening, Phase};
use crate::pair::{engine_time, source_port};
use crate::port::Port;
use crate::rdma::Inner;
use crate::table::Name;
use crate::{Accept, Connect};
use alloc::collections::{BTreeMap, VecDeque};
use core::net::IpAddr;
use core::ops::Bound;
use reflex_driver_api::Link;
use reflex_event::{Instant, Kernel};
use reflex_rdma_device::{Sending, send};
use reflex_rdma_engine::State;
use reflex_rdma_engine::cm::{
    self, Actions, Agent, Event, GeneralService, ListenerId, Parameters, Route,
};
use reflex_rdma_wire::cm::{CommId, Mad, RejectReason, ServiceId};
use reflex_rdma_wire::{Gid, Psn, Qpn, Transport, Unverified};

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
    listeners: BTreeMap<u64, (ListenerId, Name)>,
    /// What the manager told and is to be dealt with, and whether somebody is at it.
    told: VecDeque<Told>,
    telling: bool,
    /// When the timer is set to expire.
    armed: Option<Instant>,
    refused: u32,
}

/// What is known of a connection.
#[derive(Clone, Copy)]
struct Known {
    name: u32,
    /// Who is told of it.
    channel: Name,
    pair: Option<Qpn>,
    /// Events for which the channel keeps places.
    promised: usize,
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
struct Doing<'a> {
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

    pub(crate) fn connect(
        &mut self,
        pair: Qpn,
        (name, channel): (u32, Name),
        (address, port): (IpAddr, u16),
        connect: &Connect,
        link: &mut dyn Link,
    ) {
        let mut known = Known { name, channel, pair: Some(pair), promised: ASKED };
        match self.request(pair, name, (address, port), connect, link) {
            Ok(id) => {
                self.service.known.insert(id.0, known);
                self.service.names.insert(name, id);
            }
            Err(why) => {
                self.let_go(pair);
                self.tell(&mut known, Happening::Failed { why });
            }
        }
    }

    fn request(
        &mut self,
        number: Qpn,
        name: u32,
        (address, port): (IpAddr, u16),
        connect: &Connect,
        link: &mut dyn Link,
    ) -> Result<CommId, Failure> {
        let local = self.inner.local(address).ok_or(Failure::NoAddress)?;
        let (mtu, psn) = (self.inner.mtu, self.random_psn());
        let pair = self.pair(number).ok_or(Failure::QueuePair)?;
        let (transport, shared_receive_queue) = (pair.engine.transport(), pair.share.is_some());
        if pair.engine.state() != State::Init || pair.connection.is_some() {
            return Err(Failure::QueuePair);
        }
        let service = service(transport, port).map_err(|_| Failure::QueuePair)?;
        let route = Route { local, remote: Gid::from(address) };
        let request = cm::Connect {
            service,
            transport,
            mtu,
            source_port: 0xc000 | name as u16 & 0x3fff,
            responder_resources: connect.reads,
            initiator_depth: connect.reads,
            retries: connect.retries,
            rnr_retries: connect.rnr_retries,
            shared_receive_queue,
            private_data: connect.data.as_bytes(),
            ..cm::Connect::port(route, port, number, psn)
        };
        let now = engine_time(self.inner.kernel.now());
        let begun = self.with_agent(link, |agent, doing| agent.connect(&request, now, doing));
        let id = begun.map_err(|error| match error {
            cm::Error::TableFull => Failure::LimitReached,
            _ => Failure::NoAddress,
        })?;
        self.hold(number, id, false);
        Ok(id)
    }

    pub(crate) fn accept(&mut self, name: u32, pair: Qpn, accept: &Accept, link: &mut dyn Link) {
        let id = self.service.find(name);
        let asked = |id: &CommId| self.service.agent.state(*id) == Some(cm::State::ReqReceived);
        let Some(id) = id.filter(asked) else {
            // It has been answered, or is over, which has been told.
            return self.let_go(pair);
        };
        if self.answer(id, pair, accept, link) {
            return;
        }
        self.release(pair, id);
        self.tell_of(id, Happening::Failed { why: Failure::QueuePair });
        self.refuse(id, RejectReason::NO_QP, &[], link);
    }

    /// Accepts a request; false when the queue pair is not fit for that.
    fn answer(&mut self, id: CommId, number: Qpn, accept: &Accept, link: &mut dyn Link) -> bool {
        let transport = self.service.agent.parameters(id).map(|it| it.transport);
        let psn = self.random_psn();
        let Some(pair) = self.pair(number).filter(|it| it.connection.is_none()) else {
            self.let_go(number);
            return false;
        };
        if pair.engine.state() != State::Init || Some(pair.engine.transport()) != transport {
            self.let_go(number);
            return false;
        }
        let answer = cm::Accept {
            responder_resources: accept.reads,
            initiator_depth: accept.reads,
            rnr_retries: accept.rnr_retries,
            shared_receive_queue: pair.share.is_some(),
            private_data: accept.data.as_bytes(),
            ..cm::Accept::new(number, psn)
        };
        let now = engine_time(self.inner.kernel.now());
        self.hold(number, id, true);
        if let Some(known) = self.service.known.get_mut(&id.0) {
            known.pair = Some(number);
        }
        let accepted = self.with_agent(link, |agent, doing| agent.accept(id, &answer, now, doing));
        // The peer's first packet may come right behind the answer, and no earlier than this ends.
        accepted.is_ok_and(|parameters| self.bring_up(number, &parameters))
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
        if let Some(id) = self.service.find(name) {
            self.end_connection(id, link);
        }
    }

    /// Ends a connection, however far it has come.
    pub(crate) fn end_connection(&mut self, id: CommId, link: &mut dyn Link) {
        let now = engine_time(self.inner.kernel.now());
        let ending =
            self.with_agent(link, |agent, doing| agent.disconnect(id, &[], now, doing).is_ok());
        if let Some(pair) = self.service.known.get(&id.0).and_then(|known| known.pair) {
            self.release(pair, id);
        }
        if !ending && self.service.agent.state(id) != Some(cm::State::DreqSent) {
            // It had not come to stand, and no answer is waited for. Then it may be forgotten.
            self.tell_of(id, Happening::Disconnected);
            self.refuse(id, RejectReason::CONSUMER, &[], link);
        }
    }

    /// The connection of a queue pair that is gone ends.
    pub(crate) fn abandon(&mut self, pair: Qpn, link: &mut dyn Link) {
        if let Some(id) = self.pair(pair).and_then(|pair| pair.connection) {
            self.end_connection(id, link);
        }
    }

    /// The first packet of a connection's peer has come: that confirms it, too.
    pub(crate) fn confirm(&mut self, pair: Qpn, link: &mut dyn Link) {
        if let Some(id) = self.pair(pair).and_then(|pair| pair.connection) {
            // When it is over, that has been told.
            let _ = self.with_agent(link, |agent, doing| agent.established(id, doing));
        }
    }

    fn told(&mut self, told: Told, link: &mut dyn Link) {
        match told {
            Told::Requested { id, service, transport, from, data } => {
                let listener = self.service.listeners.get(&service.0).map(|it| it.1);
                let name = listener.and_then(|channel| {
                    self.inner.with(|shared| {
                        let heard = shared.channels.get_mut(channel)?.promise(REQUESTED);
                        shared.counters.unheard += u64::from(!heard);
                        heard.then(|| (channel, shared.name_connection()))
                    })
                });
                let Some((channel, name)) = name else {
                    return self.refuse(id, RejectReason::NO_RESOURCES, &[], link);
                };
                let known = Known { name, channel, pair: None, promised: REQUESTED };
                self.service.known.insert(id.0, known);
                self.service.names.insert(name, id);
                let port = service.to_ip().map_or(0, |(_, port)| port);
                self.tell_of(id, Happening::Requested { transport, port, from, data });
            }
            Told::Reply { id, parameters, data } => {
                let pair = self.service.known.get(&id.0).and_then(|known| known.pair);
                if pair.is_some_and(|pair| self.bring_up(pair, &parameters)) {
                    let establish =
                        |agent: &mut Agent, doing: &mut Doing<'_>| agent.establish(id, &[], doing);
                    if self.with_agent(link, establish).is_ok() {
                        self.connected(id, data);
                    }
                    return;
                }
                self.over(id, Happening::Failed { why: Failure::QueuePair });
                self.refuse(id, RejectReason::NO_QP, &[], link);
            }
            Told::Connected { id, data } => self.connected(id, data),
            Told::Rejected { id, reason, data } => {
                self.over(id, Happening::Rejected { reason, data });
            }
            Told::Failed { id, why } => self.over(id, Happening::Failed { why }),
            Told::Disconnected { id } => self.over(id, Happening::Disconnected),
            Told::Released { id } => {
                if let Some(known) = self.service.known.remove(&id.0) {
                    self.service.names.remove(&known.name);
                    self.inner.with(|shared| {
                        let channel = shared.channels.get_mut(known.channel);
                        channel.into_iter().for_each(|it| it.promised -= known.promised);
                    });
                }
            }
        }
    }

    fn connected(&mut self, id: CommId, data: PrivateData) {
        if let Some(number) = self.service.known.get(&id.0).and_then(|known| known.pair)
            && let Some(pair) = self.pair(number)
            && pair.connection == Some(id)
        {
            pair.unconfirmed = false;
            self.set_phase(number, Phase::Ready);
        }
        self.tell_of(id, Happening::Connected { data });
    }

    fn over(&mut self, id: CommId, what: Happening) {
        if let Some(pair) = self.service.known.get(&id.0).and_then(|known| known.pair) {
            self.release(pair, id);
        }
        self.tell_of(id, what);
    }

    /// A queue pair is in a connection from now on, or on its way to it.
    fn hold(&mut self, pair: Qpn, id: CommId, unconfirmed: bool) {
        if let Some(pair) = self.pair(pair) {
            (pair.connection, pair.unconfirmed) = (Some(id), unconfirmed);
        }
    }

    /// A connection of a queue pair's is over. If it has not begun to work with the peer, it can have
    /// another.
    fn release(&mut self, number: Qpn, id: CommId) {
        let Some(pair) = self.pair(number).filter(|it| it.connection == Some(id)) else { return };
        (pair.connection, pair.unconfirmed) = (None, false);
        if pair.engine.state() == State::Init {
            self.let_go(number);
        } else {
            self.take_down(number);
        }
    }

    /// A queue pair that was to be connected, and is not, can be connected otherwise.
    fn let_go(&self, pair: Qpn) {
        self.inner.with(|shared| {
            if let Ok(front) = shared.pair(pair)
                && front.phase == Phase::Connecting
            {
                front.phase = Phase::Fresh;
            }
        });
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

    /// The next connection behind that one, and who is told of it.
    pub(crate) fn next_connection(&self, after: Option<CommId>) -> Option<(CommId, Name)> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.0));
        let next = self.service.known.range((from, Bound::Unbounded)).next();
        next.map(|(id, known)| (CommId(*id), known.channel))
    }

    fn tell_of(&mut self, id: CommId, what: Happening) {
        if let Some(mut known) = self.service.known.get(&id.0).copied() {
            self.tell(&mut known, what);
            self.service.known.insert(id.0, known);
        }
    }

    /// Has an application told, if that is to be told yet: places were kept for it.
    fn tell(&self, known: &mut Known, what: Happening) {
        if known.promised == 0 {
            return;
        }
        let last = what.is_last();
        let event = self.inner.with(|shared| {
            let channel = shared.channels.get_mut(known.channel)?;
            let event = channel.tell(Occurred { name: known.name, what });
            known.promised -= 1;
            if last {
                channel.promised -= core::mem::take(&mut known.promised);
            }
            event
        });
        if let Some(event) = event {
            self.inner.activate(event);
        }
    }
}
