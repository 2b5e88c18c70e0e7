//! The side that is asked for a connection: REQ in, REP out, RTU in.

use super::agent::{Purpose, compose, split_header};
use super::communication::Role;
use super::config::{ack_of_peer, response_of_peer};
use super::{
    Accept, Actions, Agent, ConnectionRequest, Error, Event, ListenerId, Parameters, Refusal,
    Route, State,
};
use crate::Instant;
use reflex_rdma_wire::cm::{
    CommId, IpHeader, Message, Received, Rej, RejectReason, Rep, Req, Rtu, Service,
};
use reflex_rdma_wire::{PKey, Psn, QKey, Qpn, RnrTimer, Transport};

/// A request that may be told, but for what the tables have to say.
struct Checked<'a> {
    listener: ListenerId,
    transport: Transport,
    ip: Option<IpHeader>,
    private_data: &'a [u8],
}

impl Agent {
    /// Accepts a request. The queue pair is to be ready before any packet is taken: the
    /// parameters that are returned are what it is brought up with.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`], [`Error::PrivateDataTooLong`],
    /// [`Error::Value`].
    pub fn accept<A: Actions>(
        &mut self,
        id: CommId,
        accept: &Accept<'_>,
        now: Instant,
        actions: &mut A,
    ) -> Result<Parameters, Error> {
        let slot = self.slot(id)?;
        let communication = &self.table[slot];
        if communication.state != State::ReqReceived {
            return Err(Error::State);
        }
        let mut parameters = communication.parameters;
        parameters.local_qpn = accept.qpn;
        parameters.receive_psn = accept.psn;
        parameters.responder_resources =
            parameters.responder_resources.min(accept.responder_resources);
        parameters.initiator_depth = parameters.initiator_depth.min(accept.initiator_depth);
        let rep = Rep {
            local_id: id,
            remote_id: communication.remote_id,
            qkey: QKey(0),
            qpn: accept.qpn,
            local_eecn: 0,
            psn: accept.psn,
            responder_resources: parameters.responder_resources,
            initiator_depth: parameters.initiator_depth,
            ack_delay: self.config.ack_delay,
            failover: 0,
            flow_control: false,
            rnr_retries: accept.rnr_retries,
            shared_receive_queue: accept.shared_receive_queue,
            ca_guid: self.config.ca_guid,
            private_data: accept.private_data,
        };
        let mad = compose(communication.transaction, Message::Rep(rep))?;
        self.table[slot].parameters = parameters;
        self.ask(slot, State::RepSent, mad, now, actions);
        Ok(parameters)
    }

    /// The queue pair of a connection that was accepted got a packet
    /// ([`Event::CommunicationEstablished`](crate::Event::CommunicationEstablished)): the peer
    /// has confirmed, whatever became of its message.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`].
    pub fn established<A: Actions>(&mut self, id: CommId, actions: &mut A) -> Result<(), Error> {
        let slot = self.slot(id)?;
        match self.table[slot].state {
            State::RepSent => self.confirm(slot, &[], actions),
            State::Established => {}
            _ => return Err(Error::State),
        }
        Ok(())
    }

    fn confirm<A: Actions>(&mut self, slot: usize, private_data: &[u8], actions: &mut A) {
        self.deadlines.remove(slot);
        self.leave_backlog(slot);
        self.table[slot].state = State::Established;
        actions.tell(Event::Established { id: self.table.id(slot), private_data });
    }

    pub(super) fn receive_rtu<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        rtu: &Rtu<'_>,
        actions: &mut A,
    ) {
        let slot = self.table.find(rtu.remote_id);
        let is_over = |slot: usize| self.table[slot].state == State::TimeWait;
        let Some(slot) = slot.filter(|slot| !is_over(*slot)) else {
            // The peer takes it for a connection.
            self.counters.count(Refusal::UnknownId);
            let rej = Rej {
                local_id: rtu.remote_id,
                remote_id: rtu.local_id,
                received: Received::Other,
                reason: RejectReason::INVALID_COMM_ID,
                info: &[],
                private_data: &[],
            };
            return self.send(route, transaction, Message::Rej(rej), actions);
        };
        let communication = &self.table[slot];
        match (communication.role, communication.state) {
            _ if communication.route() != *route => self.counters.count(Refusal::Address),
            (Role::Active, _) => self.counters.count(Refusal::State),
            _ if communication.remote_id != rtu.local_id => self.counters.count(Refusal::Instance),
            (_, State::RepSent) => self.confirm(slot, rtu.private_data, actions),
            (_, State::Established) => self.counters.count(Refusal::Duplicate),
            _ => self.counters.count(Refusal::State),
        }
    }

    pub(super) fn receive_req<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        req: &Req<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        let name = (route.remote, req.local_id, Purpose::Connection);
        if let Some(slot) = self.by_peer.find(&name) {
            return self.receive_req_again(slot, route, transaction, req, now, actions);
        }
        let checked = match self.check_req(route, req) {
            Ok(checked) => checked,
            Err((refusal, reason)) => {
                self.counters.count(refusal);
                return self.reject_req(route, transaction, req.local_id, reason, actions);
            }
        };
        let queue_pair = (route.remote, req.qpn);
        let old = self.by_queue_pair.find(&queue_pair);
        if old.is_some_and(|old| self.supersede(old, now, actions)) {
            return self.reject_stale(route, transaction, req, actions);
        }
        if !self.listeners.join_backlog(checked.listener) {
            return self.counters.count(Refusal::Backlog);
        }
        let Ok(slot) = self.begin(Role::Passive, State::ReqReceived, *route) else {
            self.listeners.leave_backlog(checked.listener);
            return self.counters.count(Refusal::Full);
        };
        self.by_peer.insert(slot, name);
        self.by_queue_pair.insert(slot, queue_pair);
        self.take_req(slot, transaction, req, &checked, actions);
    }

    fn take_req<A: Actions>(
        &mut self,
        slot: usize,
        transaction: u64,
        req: &Req<'_>,
        checked: &Checked<'_>,
        actions: &mut A,
    ) {
        let communication = &mut self.table[slot];
        communication.service = req.service;
        communication.remote_id = req.local_id;
        communication.transaction = transaction;
        communication.listener = Some(checked.listener);
        communication.interval = response_of_peer(req.local_response_timeout);
        communication.retries = req.max_cm_retries;
        let parameters = Parameters {
            transport: checked.transport,
            route: communication.route(),
            partition: PKey::DEFAULT,
            local_qpn: Qpn::new(0),
            remote_qpn: req.qpn,
            mtu: req.mtu,
            receive_psn: Psn::new(0),
            send_psn: req.psn,
            // What one side initiates, the other responds to.
            responder_resources: req.initiator_depth,
            initiator_depth: req.responder_resources,
            retries: req.retries,
            rnr_retries: req.rnr_retries,
            ack_timeout: ack_of_peer(req.primary.ack_timeout),
            rnr_timer: RnrTimer::from_code(0),
        };
        communication.parameters = parameters;
        actions.tell(Event::ConnectionRequest(ConnectionRequest {
            id: self.table.id(slot),
            listener: checked.listener,
            service: req.service,
            ip: checked.ip,
            parameters,
            private_data: checked.private_data,
        }));
    }

    /// Whether a request is one that this port serves (IBA volume 1, 12.6: the reasons to reject).
    fn check_req<'a>(
        &self,
        route: &Route,
        req: &Req<'a>,
    ) -> Result<Checked<'a>, (Refusal, RejectReason)> {
        let listener = self.listeners.find(req.service);
        let (listener, listen) =
            listener.ok_or((Refusal::Service, RejectReason::INVALID_SERVICE_ID))?;
        let transport = match req.transport {
            Service::Reliable => Transport::Reliable,
            Service::Unreliable => Transport::Unreliable,
        };
        if listen.transport != transport || req.extended_transport != 0 {
            return Err((Refusal::Transport, RejectReason::INVALID_TRANSPORT));
        }
        // Packets are to take the way this one took, to where it came from and nowhere else.
        if (req.primary.local, req.primary.remote) != (route.remote, route.local) {
            return Err((Refusal::Path, RejectReason::INVALID_GID));
        }
        if req.mtu > self.config.mtu {
            return Err((Refusal::Mtu, RejectReason::INVALID_MTU));
        }
        if !req.partition.matches(PKey::DEFAULT) {
            return Err((Refusal::Partition, RejectReason::UNSUPPORTED_REQUEST));
        }
        let (ip, private_data) = split_header(req.service, req.private_data)
            .map_err(|refusal| (refusal, RejectReason::CONSUMER))?;
        Ok(Checked { listener, transport, ip, private_data })
    }

    /// A request from a communication of the peer's that is known here.
    fn receive_req_again<A: Actions>(
        &mut self,
        slot: usize,
        route: &Route,
        transaction: u64,
        req: &Req<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        let communication = &self.table[slot];
        let parameters = &communication.parameters;
        let known = (communication.route(), communication.service, parameters.remote_qpn);
        let is_same = known == (*route, req.service, req.qpn)
            && communication.role == Role::Passive
            && parameters.send_psn == req.psn;
        match communication.state {
            State::TimeWait => self.reject_stale(route, transaction, req, actions),
            _ if !is_same => {
                // The peer started anew and happened upon the name.
                self.supersede(slot, now, actions);
                self.reject_stale(route, transaction, req, actions);
            }
            State::ReqReceived => {
                self.counters.count(Refusal::Duplicate);
                self.send_mra(slot, actions);
            }
            State::RepSent => {
                self.counters.count(Refusal::Duplicate);
                self.send_kept(slot, actions);
            }
            _ => self.counters.count(Refusal::Duplicate),
        }
    }

    fn reject_stale<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        req: &Req<'_>,
        actions: &mut A,
    ) {
        self.counters.count(Refusal::Stale);
        let reason = RejectReason::STALE_CONNECTION;
        self.reject_req(route, transaction, req.local_id, reason, actions);
    }

    fn reject_req<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        remote_id: CommId,
        reason: RejectReason,
        actions: &mut A,
    ) {
        let rej = Rej {
            local_id: CommId(0),
            remote_id,
            received: Received::Req,
            reason,
            info: &[],
            private_data: &[],
        };
        self.send(route, transaction, Message::Rej(rej), actions);
    }
}
