//! Service ID resolution, by which a datagram queue pair is found: SIDR_REQ and SIDR_REP (IBA
//! volume 1, 12.11).

use super::agent::{Purpose, compose, is_connected, split_header, with_header};
use super::communication::Role;
use super::config::nanos;
use super::{
    Actions, Agent, Answer, Error, Event, Refusal, ResolutionRequest, Resolve, Route, State,
};
use crate::Instant;
use reflex_rdma_wire::cm::{CommId, Mad, Message, SidrRep, SidrReq, SidrStatus};
use reflex_rdma_wire::{PKey, QKey, Qpn};

impl Agent {
    /// Asks for a service's datagram queue pair. [`Event::Resolved`],
    /// [`Event::ResolutionRejected`] or [`Event::Failed`] tells what became of it.
    ///
    /// # Errors
    /// [`Error::TableFull`], [`Error::PrivateDataTooLong`], [`Error::MixedFamilies`].
    pub fn resolve<A: Actions>(
        &mut self,
        resolve: &Resolve<'_>,
        now: Instant,
        actions: &mut A,
    ) -> Result<CommId, Error> {
        let slot = self.begin(Role::Active, State::SidrReqSent, resolve.route)?;
        match self.compose_sidr_req(slot, resolve) {
            Ok(mad) => {
                let communication = &mut self.table[slot];
                communication.service = resolve.service;
                // As Linux waits: the peer answers without asking anybody.
                communication.interval = nanos(self.config.response_timeout);
                self.ask(slot, State::SidrReqSent, mad, now, actions);
                Ok(self.table.id(slot))
            }
            Err(error) => {
                self.forget(slot);
                Err(error)
            }
        }
    }

    fn compose_sidr_req(
        &self,
        slot: usize,
        resolve: &Resolve<'_>,
    ) -> Result<[u8; Mad::LENGTH], Error> {
        let Resolve { service, source_port, .. } = *resolve;
        let mut buffer = [0; Mad::LENGTH];
        let (route, given) = (&resolve.route, resolve.private_data);
        let request_id = self.table.id(slot);
        let private_data = with_header(service, route, source_port, given, &mut buffer)?;
        let req = SidrReq { request_id, partition: PKey::DEFAULT, service, private_data };
        compose(self.table[slot].transaction, Message::SidrReq(req))
    }

    /// Names the datagram queue pair that was asked for.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`], [`Error::PrivateDataTooLong`].
    pub fn answer<A: Actions>(
        &mut self,
        id: CommId,
        answer: &Answer<'_>,
        actions: &mut A,
    ) -> Result<(), Error> {
        let slot = self.slot(id)?;
        let communication = &mut self.table[slot];
        if communication.state != State::SidrReqReceived {
            return Err(Error::State);
        }
        let rep = SidrRep {
            request_id: communication.remote_id,
            status: SidrStatus::VALID,
            qpn: answer.qpn,
            service: communication.service,
            qkey: answer.qkey,
            info: &[],
            private_data: answer.private_data,
        };
        communication.mad = compose(communication.transaction, Message::SidrRep(rep))?;
        self.send_kept(slot, actions);
        self.release(slot, actions);
        Ok(())
    }

    pub(super) fn receive_sidr_req<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        req: &SidrReq<'_>,
        actions: &mut A,
    ) {
        let name = (route.remote, req.request_id, Purpose::Resolution);
        if self.by_peer.find(&name).is_some() {
            // The application has not answered yet.
            return self.counters.count(Refusal::Duplicate);
        }
        let found = match self.listeners.find(req.service) {
            None => Err(Refusal::Service),
            Some((_, listen)) if is_connected(listen.transport) => Err(Refusal::Transport),
            Some(_) if !req.partition.matches(PKey::DEFAULT) => Err(Refusal::Partition),
            Some((listener, _)) => split_header(req.service, req.private_data)
                .map(|(ip, private_data)| (listener, ip, private_data)),
        };
        let (listener, ip, private_data) = match found {
            Ok(found) => found,
            Err(refusal) => {
                self.counters.count(refusal);
                return self.refuse_sidr_req(route, transaction, req, actions);
            }
        };
        if !self.listeners.join_backlog(listener) {
            return self.counters.count(Refusal::Backlog);
        }
        let Ok(slot) = self.begin(Role::Passive, State::SidrReqReceived, *route) else {
            self.listeners.leave_backlog(listener);
            return self.counters.count(Refusal::Full);
        };
        self.by_peer.insert(slot, name);
        let communication = &mut self.table[slot];
        communication.service = req.service;
        communication.remote_id = req.request_id;
        communication.transaction = transaction;
        communication.listener = Some(listener);
        actions.tell(Event::ResolutionRequest(ResolutionRequest {
            id: self.table.id(slot),
            listener,
            service: req.service,
            route: *route,
            ip,
            private_data,
        }));
    }

    fn refuse_sidr_req<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        req: &SidrReq<'_>,
        actions: &mut A,
    ) {
        let rep = SidrRep {
            request_id: req.request_id,
            status: SidrStatus::UNSUPPORTED,
            qpn: Qpn::new(0),
            service: req.service,
            qkey: QKey(0),
            info: &[],
            private_data: &[],
        };
        self.send(route, transaction, Message::SidrRep(rep), actions);
    }

    pub(super) fn receive_sidr_rep<A: Actions>(
        &mut self,
        route: &Route,
        rep: &SidrRep<'_>,
        actions: &mut A,
    ) {
        let Some(slot) = self.slot_for(rep.request_id, route) else { return };
        let communication = &self.table[slot];
        if communication.state != State::SidrReqSent {
            return self.counters.count(Refusal::State);
        }
        if communication.service != rep.service {
            return self.counters.count(Refusal::Instance);
        }
        let id = self.table.id(slot);
        let SidrRep { status, qpn, qkey, info, private_data, .. } = *rep;
        actions.tell(match status {
            SidrStatus::VALID => Event::Resolved { id, qpn, qkey, private_data },
            _ => Event::ResolutionRejected { id, status, info, private_data },
        });
        self.release(slot, actions);
    }
}
