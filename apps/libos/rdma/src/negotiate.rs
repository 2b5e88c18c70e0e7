//! Connections, as they are asked for, answered and ended, and what their applications are told.

use crate::connection_event::{ASKED, ConnectionChange, Failure, Occurred, REQUESTED};
use crate::connection_options::{Accept, Connect, service};
use crate::pair_state::{engine_time, source_port};
use crate::peer::RNR_TIMER;
use crate::port::Port;
use crate::private_data::PrivateData;
use crate::service_state::{AgentEvent, Doing, Known};
use crate::shared::number;
use crate::table::Handle;
use crate::work::Phase;
use core::net::IpAddr;
use core::ops::Bound;
use reflex_event::Kernel;
use reflex_hil::Link;
use reflex_rdma_engine::State;
use reflex_rdma_engine::cm::{self, Agent, Parameters, Route};
use reflex_rdma_wire::cm::{CommId, RejectReason};
use reflex_rdma_wire::{Gid, Psn};

impl<K: Kernel> Port<K> {
    pub(crate) fn connect(
        &mut self,
        pair: Handle,
        (handle, channel): (u64, Handle),
        (address, port): (IpAddr, u16),
        connect: &Connect,
        link: &mut dyn Link,
    ) {
        let mut known = Known { handle, channel, pair: Some(pair), promised: ASKED };
        match self.request(pair, handle, (address, port), connect, link) {
            Ok(id) => {
                self.service.known.insert(id.0, known);
                self.service.handles.insert(handle, id);
            }
            Err(why) => {
                self.detach(pair);
                self.tell(&mut known, ConnectionChange::Failed { why });
            }
        }
    }

    fn request(
        &mut self,
        queue_pair: Handle,
        handle: u64,
        (address, port): (IpAddr, u16),
        connect: &Connect,
        link: &mut dyn Link,
    ) -> Result<CommId, Failure> {
        let local = self.inner.local(address).ok_or(Failure::NoAddress)?;
        let (mtu, psn) = (self.inner.mtu, self.random_psn());
        let pair = self.pair(queue_pair).ok_or(Failure::QueuePair)?;
        let (transport, shared_receive_queue) = (pair.engine.transport(), pair.share.is_some());
        if pair.engine.state() != State::Init || pair.connection.is_some() {
            return Err(Failure::QueuePair);
        }
        let service = service(transport, port);
        let route = Route { local, remote: Gid::from(address) };
        let request = cm::Connect {
            service,
            transport,
            mtu,
            source_port: 0xc000 | handle as u16 & 0x3fff,
            responder_resources: connect.reads,
            initiator_depth: connect.reads,
            retries: connect.retries,
            rnr_retries: connect.rnr_retries,
            shared_receive_queue,
            private_data: connect.data.as_bytes(),
            ..cm::Connect::port(route, port, number(queue_pair), psn)
        };
        let now = engine_time(self.inner.kernel.now());
        let begun = self.with_agent(link, |agent, doing| agent.connect(&request, now, doing));
        let id = begun.map_err(|error| match error {
            cm::Error::TableFull => Failure::LimitReached,
            _ => Failure::NoAddress,
        })?;
        self.hold(queue_pair, id, false);
        Ok(id)
    }

    pub(crate) fn accept(
        &mut self,
        handle: u64,
        pair: Handle,
        accept: &Accept,
        link: &mut dyn Link,
    ) {
        let id = self.service.find(handle);
        let state = id.and_then(|id| self.service.agent.state(id));
        if let (Some(id), Some(cm::State::SidrReqReceived)) = (id, state) {
            return self.name(id, pair, accept, link);
        }
        let asked = |_: &CommId| state == Some(cm::State::ReqReceived);
        let Some(id) = id.filter(asked) else {
            // It has been answered, or is over, which has been told.
            return self.detach(pair);
        };
        if self.answer(id, pair, accept, link) {
            return;
        }
        self.release(pair, id);
        self.tell_of(id, ConnectionChange::Failed { why: Failure::QueuePair });
        self.refuse(id, RejectReason::NO_QP, &[], link);
    }

    /// Accepts a request; false when the queue pair is not fit for that.
    fn answer(&mut self, id: CommId, handle: Handle, accept: &Accept, link: &mut dyn Link) -> bool {
        let transport = self.service.agent.parameters(id).map(|it| it.transport);
        let psn = self.random_psn();
        let Some(pair) = self.pair(handle).filter(|it| it.connection.is_none()) else {
            self.detach(handle);
            return false;
        };
        if pair.engine.state() != State::Init || Some(pair.engine.transport()) != transport {
            self.detach(handle);
            return false;
        }
        let answer = cm::Accept {
            responder_resources: accept.reads,
            initiator_depth: accept.reads,
            rnr_retries: accept.rnr_retries,
            shared_receive_queue: pair.share.is_some(),
            private_data: accept.data.as_bytes(),
            ..cm::Accept::new(number(handle), psn)
        };
        let now = engine_time(self.inner.kernel.now());
        self.hold(handle, id, true);
        if let Some(known) = self.service.known.get_mut(&id.0) {
            known.pair = Some(handle);
        }
        let accepted = self.with_agent(link, |agent, doing| agent.accept(id, &answer, now, doing));
        // The peer's first packet may come right behind the answer, and no earlier than this ends.
        accepted.is_ok_and(|parameters| self.bring_up(handle, &parameters))
    }

    /// Ends a request or a reply.
    pub(crate) fn refuse(
        &mut self,
        id: CommId,
        reason: RejectReason,
        data: &[u8],
        link: &mut dyn Link,
    ) {
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
        handle: u64,
        reason: RejectReason,
        data: &[u8],
        link: &mut dyn Link,
    ) {
        if let Some(id) = self.service.find(handle) {
            self.refuse(id, reason, data, link);
        }
    }

    pub(crate) fn disconnect(&mut self, handle: u64, link: &mut dyn Link) {
        if let Some(id) = self.service.find(handle) {
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
            self.tell_of(id, ConnectionChange::Disconnected);
            self.refuse(id, RejectReason::CONSUMER, &[], link);
        }
    }

    /// The connection of a queue pair that is gone ends.
    pub(crate) fn abandon(&mut self, pair: Handle, link: &mut dyn Link) {
        if let Some(id) = self.pair(pair).and_then(|pair| pair.connection) {
            self.end_connection(id, link);
        }
    }

    /// The first packet of a connection's peer has come: that confirms it, too.
    pub(crate) fn confirm(&mut self, pair: Handle, link: &mut dyn Link) {
        if let Some(id) = self.pair(pair).and_then(|pair| pair.connection) {
            // When it is over, that has been told.
            let _ = self.with_agent(link, |agent, doing| agent.established(id, doing));
        }
    }

    /// Deals with what the manager told.
    pub(crate) fn told(&mut self, told: AgentEvent, link: &mut dyn Link) {
        match told {
            AgentEvent::Requested { id, service, transport, from, data } => {
                let listener = self.service.listeners.get(&service.0).map(|it| it.1);
                let handle = listener.and_then(|channel| {
                    self.inner.with(|shared| {
                        let heard = shared.channels.get_mut(channel)?.promise(REQUESTED);
                        shared.counters.unheard += u64::from(!heard);
                        heard.then(|| (channel, shared.new_connection()))
                    })
                });
                let Some((channel, handle)) = handle else {
                    return self.refuse(id, RejectReason::NO_RESOURCES, &[], link);
                };
                let known = Known { handle, channel, pair: None, promised: REQUESTED };
                self.service.known.insert(id.0, known);
                self.service.handles.insert(handle, id);
                let port = service.to_ip().map_or(0, |(_, port)| port);
                self.tell_of(id, ConnectionChange::Requested { transport, port, from, data });
            }
            AgentEvent::Reply { id, parameters, data } => {
                let pair = self.service.known.get(&id.0).and_then(|known| known.pair);
                if pair.is_some_and(|pair| self.bring_up(pair, &parameters)) {
                    let establish =
                        |agent: &mut Agent, doing: &mut Doing<'_>| agent.establish(id, &[], doing);
                    if self.with_agent(link, establish).is_ok() {
                        self.connected(id, data);
                    }
                    return;
                }
                self.over(id, ConnectionChange::Failed { why: Failure::QueuePair });
                self.refuse(id, RejectReason::NO_QP, &[], link);
            }
            AgentEvent::Resolved { id, queue_pair, key, data } => {
                self.over(id, ConnectionChange::Resolved { queue_pair, key, data });
            }
            AgentEvent::Connected { id, data } => self.connected(id, data),
            AgentEvent::Rejected { id, reason, data } => {
                self.over(id, ConnectionChange::Rejected { reason, data });
            }
            AgentEvent::Failed { id, why } => self.over(id, ConnectionChange::Failed { why }),
            AgentEvent::Disconnected { id } => self.over(id, ConnectionChange::Disconnected),
            AgentEvent::Released { id } => {
                if let Some(known) = self.service.known.remove(&id.0) {
                    self.service.handles.remove(&known.handle);
                    self.inner.with(|shared| {
                        let channel = shared.channels.get_mut(known.channel);
                        channel.into_iter().for_each(|it| it.promised -= known.promised);
                    });
                }
            }
        }
    }

    fn connected(&mut self, id: CommId, data: PrivateData) {
        if let Some(handle) = self.service.known.get(&id.0).and_then(|known| known.pair)
            && let Some(pair) = self.pair(handle)
            && pair.connection == Some(id)
        {
            pair.unconfirmed = false;
            self.set_phase(handle, Phase::Ready);
        }
        self.tell_of(id, ConnectionChange::Connected { data });
    }

    fn over(&mut self, id: CommId, what: ConnectionChange) {
        if let Some(pair) = self.service.known.get(&id.0).and_then(|known| known.pair) {
            self.release(pair, id);
        }
        self.tell_of(id, what);
    }

    /// A queue pair is in a connection from now on, or on its way to it.
    fn hold(&mut self, pair: Handle, id: CommId, unconfirmed: bool) {
        if let Some(pair) = self.pair(pair) {
            (pair.connection, pair.unconfirmed) = (Some(id), unconfirmed);
        }
    }

    /// A connection of a queue pair's is over. If it has not begun to work with the peer, it can have
    /// another.
    fn release(&mut self, handle: Handle, id: CommId) {
        let Some(pair) = self.pair(handle).filter(|it| it.connection == Some(id)) else { return };
        (pair.connection, pair.unconfirmed) = (None, false);
        if pair.engine.state() == State::Init {
            self.detach(handle);
        } else {
            self.move_to_error(handle);
        }
    }

    /// A queue pair that was to be connected, and is not, can be connected otherwise.
    fn detach(&self, pair: Handle) {
        self.inner.with(|shared| {
            if let Ok(entry) = shared.pair(pair)
                && entry.phase == Phase::Connecting
            {
                entry.phase = Phase::Fresh;
            }
        });
    }

    /// Takes a queue pair on its way, with what its peer and this side have agreed.
    fn bring_up(&mut self, pair: Handle, parameters: &Parameters) -> bool {
        let (mut rtr, rts) = (parameters.rtr(source_port(number(pair))), parameters.rts());
        // The manager leaves it at 655 ms, for which a sender that is a little ahead would stand still.
        rtr.rnr_timer = rtr.rnr_timer.map(|_| RNR_TIMER);
        self.modify(pair, State::Rtr, &rtr) && self.modify(pair, State::Rts, &rts)
    }

    fn random_psn(&self) -> Psn {
        let mut random = [0; 4];
        self.inner.kernel.random(&mut random);
        Psn::new(u32::from_ne_bytes(random) & 0xff_ffff)
    }

    /// The next connection behind that one, and the channel that is told of it.
    pub(crate) fn next_connection(&self, after: Option<CommId>) -> Option<(CommId, Handle)> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.0));
        let next = self.service.known.range((from, Bound::Unbounded)).next();
        next.map(|(id, known)| (CommId(*id), known.channel))
    }

    pub(crate) fn tell_of(&mut self, id: CommId, what: ConnectionChange) {
        if let Some(mut known) = self.service.known.get(&id.0).copied() {
            self.tell(&mut known, what);
            self.service.known.insert(id.0, known);
        }
    }

    /// Has an application told, if that is to be told yet: places were kept for it.
    pub(crate) fn tell(&self, known: &mut Known, what: ConnectionChange) {
        if known.promised == 0 {
            return;
        }
        let last = what.is_last();
        let event = self.inner.with(|shared| {
            let channel = shared.channels.get_mut(known.channel)?;
            let event = channel.tell(Occurred { handle: known.handle, what });
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
