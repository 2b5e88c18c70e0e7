//! The side that asks for a connection: REQ out, REP in, RTU out.

use super::agent::{Purpose, compose, is_connected, with_header};
use super::communication::Role;
use super::config::{ack_of_peer, ack_timeout};
use super::{Actions, Agent, Connect, Error, Event, Failure, Parameters, Refusal, Route, State};
use crate::Instant;
use reflex_rdma_wire::cm::{
    CommId, Mad, Message, Mra, Path, Received, Rej, RejectReason, Rep, Req, Rtu, Service,
};
use reflex_rdma_wire::{AckTimeout, PKey, QKey, Transport};

impl Agent {
    /// Asks a peer for a connection. [`Event::Reply`], [`Event::Rejected`] or [`Event::Failed`]
    /// tells what became of it.
    ///
    /// # Errors
    /// [`Error::TableFull`], [`Error::PrivateDataTooLong`], [`Error::MixedFamilies`];
    /// [`Error::Value`] when a count is wider than its field, the path MTU larger than the port's, or
    /// the transport has no connections.
    pub fn connect<A: Actions>(
        &mut self,
        connect: &Connect<'_>,
        now: Instant,
        actions: &mut A,
    ) -> Result<CommId, Error> {
        let slot = self.begin(Role::Active, State::ReqSent, connect.route)?;
        match self.compose_req(slot, connect) {
            Ok(mad) => {
                self.ask(slot, State::ReqSent, mad, now, actions);
                Ok(self.table.id(slot))
            }
            Err(error) => {
                self.forget(slot);
                Err(error)
            }
        }
    }

    fn compose_req(
        &mut self,
        slot: usize,
        connect: &Connect<'_>,
    ) -> Result<[u8; Mad::LENGTH], Error> {
        let Connect { route, service, transport, qpn, psn, mtu, .. } = *connect;
        let config = &self.config;
        if !is_connected(transport) || mtu > config.mtu {
            return Err(Error::Value);
        }
        let mut buffer = [0; Mad::LENGTH];
        let given = connect.private_data;
        let private_data = with_header(service, &route, connect.source_port, given, &mut buffer)?;
        let delay = ack_timeout(config.packet_lifetime, config.ack_delay);
        let primary = Path::new(route.local, route.remote, delay);
        let req = Req {
            local_id: self.table.id(slot),
            service,
            ca_guid: config.ca_guid,
            qkey: QKey(0),
            qpn,
            responder_resources: connect.responder_resources,
            initiator_depth: connect.initiator_depth,
            local_eecn: 0,
            remote_eecn: 0,
            remote_response_timeout: config.response_timeout,
            transport: match transport {
                Transport::Unreliable => Service::Unreliable,
                _ => Service::Reliable,
            },
            flow_control: false,
            psn,
            local_response_timeout: config.response_timeout,
            retries: connect.retries,
            partition: PKey::DEFAULT,
            mtu,
            rdc_exists: false,
            rnr_retries: connect.rnr_retries,
            max_cm_retries: config.retries,
            shared_receive_queue: connect.shared_receive_queue,
            extended_transport: 0,
            primary: Path { flow_label: connect.flow_label, ..primary },
            alternate: None,
            private_data,
        };
        let communication = &mut self.table[slot];
        communication.service = service;
        communication.parameters = parameters(connect, delay);
        compose(communication.transaction, Message::Req(req))
    }

    /// Confirms a connection that the peer accepted; its queue pair is ready.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`], [`Error::PrivateDataTooLong`].
    pub fn establish<A: Actions>(
        &mut self,
        id: CommId,
        private_data: &[u8],
        actions: &mut A,
    ) -> Result<(), Error> {
        let slot = self.slot(id)?;
        let communication = &mut self.table[slot];
        if communication.state != State::RepReceived {
            return Err(Error::State);
        }
        let rtu = Rtu { local_id: id, remote_id: communication.remote_id, private_data };
        communication.mad = compose(communication.transaction, Message::Rtu(rtu))?;
        communication.state = State::Established;
        self.send_kept(slot, actions);
        Ok(())
    }

    /// Asks the peer for patience: the application's answer takes as long as `service_timeout`
    /// says. For a request or a reply that was told and not answered. Without this, a peer
    /// that asks again is asked for [`Config::service_timeout`](super::Config::service_timeout).
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`].
    pub fn delay<A: Actions>(
        &mut self,
        id: CommId,
        service_timeout: AckTimeout,
        actions: &mut A,
    ) -> Result<(), Error> {
        let slot = self.slot(id)?;
        if !matches!(self.table[slot].state, State::ReqReceived | State::RepReceived) {
            return Err(Error::State);
        }
        self.table[slot].service_timeout = service_timeout;
        self.send_mra(slot, actions);
        Ok(())
    }

    pub(super) fn send_mra<A: Actions>(&mut self, slot: usize, actions: &mut A) {
        let communication = &self.table[slot];
        let (route, transaction) = (communication.route(), communication.transaction);
        let is_request = communication.state == State::ReqReceived;
        let mra = Mra {
            local_id: self.table.id(slot),
            remote_id: communication.remote_id,
            received: if is_request { Received::Req } else { Received::Rep },
            service_timeout: communication.service_timeout,
            private_data: &[],
        };
        self.send(&route, transaction, Message::Mra(mra), actions);
    }

    pub(super) fn receive_rep<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        rep: &Rep<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        let slot = self.table.find(rep.remote_id);
        let is_over = |slot: usize| {
            let communication = &self.table[slot];
            (communication.role, communication.state) == (Role::Active, State::TimeWait)
        };
        let Some(slot) = slot.filter(|slot| !is_over(*slot)) else {
            // It would be sent again and again.
            self.counters.count(Refusal::UnknownId);
            return self.reject_rep(
                route,
                transaction,
                rep,
                RejectReason::INVALID_COMM_ID,
                actions,
            );
        };
        let communication = &self.table[slot];
        if communication.route() != *route {
            return self.counters.count(Refusal::Address);
        }
        if communication.state == State::ReqSent {
            return self.take_rep(slot, transaction, rep, now, actions);
        }
        let is_same = communication.remote_id == rep.local_id;
        match (communication.role, communication.state) {
            (Role::Active, _) if !is_same => self.counters.count(Refusal::Instance),
            (Role::Active, State::RepReceived) => {
                self.counters.count(Refusal::Duplicate);
                self.send_mra(slot, actions);
            }
            (Role::Active, State::Established) => {
                // The RTU was lost.
                self.counters.count(Refusal::Duplicate);
                self.send_kept(slot, actions);
            }
            _ => self.counters.count(Refusal::State),
        }
    }

    fn take_rep<A: Actions>(
        &mut self,
        slot: usize,
        transaction: u64,
        rep: &Rep<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        let route = self.table[slot].route();
        let name = (route.remote, rep.local_id, Purpose::Connection);
        if self.by_peer.find(&name).is_some() {
            return self.counters.count(Refusal::Instance);
        }
        let queue_pair = (route.remote, rep.qpn);
        let old = self.by_queue_pair.find(&queue_pair);
        if old.is_some_and(|old| self.supersede(old, now, actions)) {
            self.counters.count(Refusal::Stale);
            let reason = RejectReason::STALE_CONNECTION;
            self.reject_rep(&route, transaction, rep, reason, actions);
            let id = self.table.id(slot);
            actions.tell(Event::Failed { id, failure: Failure::Stale });
            return self.end(slot, now, actions);
        }
        self.by_peer.insert(slot, name);
        self.by_queue_pair.insert(slot, queue_pair);
        self.deadlines.remove(slot);
        let lifetime = self.config.packet_lifetime;
        let communication = &mut self.table[slot];
        communication.state = State::RepReceived;
        communication.remote_id = rep.local_id;
        communication.transaction = transaction;
        let parameters = &mut communication.parameters;
        parameters.remote_qpn = rep.qpn;
        parameters.send_psn = rep.psn;
        parameters.rnr_retries = rep.rnr_retries;
        // The peer may do with less than it was offered, but not want more.
        parameters.responder_resources = parameters.responder_resources.min(rep.initiator_depth);
        parameters.initiator_depth = parameters.initiator_depth.min(rep.responder_resources);
        parameters.ack_timeout = ack_of_peer(ack_timeout(lifetime, rep.ack_delay));
        let parameters = *parameters;
        let id = self.table.id(slot);
        actions.tell(Event::Reply { id, parameters, private_data: rep.private_data });
    }

    fn reject_rep<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        rep: &Rep<'_>,
        reason: RejectReason,
        actions: &mut A,
    ) {
        let rej = Rej {
            local_id: rep.remote_id,
            remote_id: rep.local_id,
            received: Received::Rep,
            reason,
            info: &[],
            private_data: &[],
        };
        self.send(route, transaction, Message::Rej(rej), actions);
    }
}

/// What is known of a connection that is asked for, before the peer has answered.
fn parameters(connect: &Connect<'_>, ack_timeout: AckTimeout) -> Parameters {
    Parameters {
        transport: connect.transport,
        route: connect.route,
        local_qpn: connect.qpn,
        mtu: connect.mtu,
        receive_psn: connect.psn,
        responder_resources: connect.responder_resources,
        initiator_depth: connect.initiator_depth,
        retries: connect.retries,
        rnr_retries: connect.rnr_retries,
        ack_timeout,
        ..Parameters::none()
    }
}
