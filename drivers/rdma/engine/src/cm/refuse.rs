//! REJ: what an application refuses, what a peer does, and giving up.

use super::agent::{Purpose, compose};
use super::communication::Role;
use super::{Actions, Agent, Cause, Error, Event, Refusal, Route, State};
use crate::Instant;
use reflex_rdma_wire::cm::{
    CommId, Mad, Message, Received, Rej, RejectReason, SidrRep, SidrStatus,
};
use reflex_rdma_wire::{QKey, Qpn};

impl Agent {
    /// Refuses: a request, a reply, or a resolution.
    ///
    /// A resolution is refused by status [`SidrStatus::REJECTED`]; the reason goes unsaid.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`], [`Error::PrivateDataTooLong`]: at most
    /// 148 bytes, of a resolution 136.
    pub fn reject<A: Actions>(
        &mut self,
        id: CommId,
        reason: RejectReason,
        private_data: &[u8],
        now: Instant,
        actions: &mut A,
    ) -> Result<(), Error> {
        let slot = self.slot(id)?;
        let mad = match self.table[slot].state {
            State::ReqReceived | State::RepReceived => {
                self.compose_rej(slot, reason, private_data)?
            }
            State::SidrReqReceived => self.compose_sidr_rejection(slot, private_data)?,
            _ => return Err(Error::State),
        };
        self.table[slot].mad = mad;
        self.send_kept(slot, actions);
        self.end(slot, now, actions);
        Ok(())
    }

    /// The application wants no more of it, wherever it stands: the peer is told, and
    /// [`Event::Released`] follows sooner or later. For one that has ended or is ending, that is
    /// all.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`].
    pub fn abandon<A: Actions>(
        &mut self,
        id: CommId,
        now: Instant,
        actions: &mut A,
    ) -> Result<(), Error> {
        let slot = self.slot(id)?;
        match self.table[slot].state {
            State::ReqReceived | State::RepReceived | State::SidrReqReceived => {
                return self.reject(id, RejectReason::CONSUMER, &[], now, actions);
            }
            State::Established => return self.disconnect(id, &[], now, actions),
            State::DreqSent | State::TimeWait => {}
            State::ReqSent => self.cancel_request(slot, RejectReason::TIMEOUT, now, actions),
            State::RepSent => self.cancel_request(slot, RejectReason::CONSUMER, now, actions),
            State::SidrReqSent => self.release(slot, actions),
        }
        Ok(())
    }

    /// Tells the peer that its answer is waited for no longer.
    fn cancel_request<A: Actions>(
        &mut self,
        slot: usize,
        reason: RejectReason,
        now: Instant,
        actions: &mut A,
    ) {
        self.send_rejection(slot, reason, actions);
        self.end(slot, now, actions);
    }

    pub(super) fn send_rejection<A: Actions>(
        &mut self,
        slot: usize,
        reason: RejectReason,
        actions: &mut A,
    ) {
        if let Ok(mad) = self.compose_rej(slot, reason, &[]) {
            self.table[slot].mad = mad;
            self.send_kept(slot, actions);
        }
    }

    fn compose_rej(
        &self,
        slot: usize,
        reason: RejectReason,
        private_data: &[u8],
    ) -> Result<[u8; Mad::LENGTH], Error> {
        let communication = &self.table[slot];
        let (received, local_id) = match communication.state {
            // The peer does not know this side's name, and need not.
            State::ReqReceived => (Received::Req, CommId(0)),
            State::RepReceived => (Received::Rep, self.table.id(slot)),
            _ => (Received::Other, self.table.id(slot)),
        };
        let guid = self.config.ca_guid.to_be_bytes();
        let rej = Rej {
            local_id,
            remote_id: communication.remote_id,
            received,
            reason,
            // By this the peer finds what is meant when it is not named by its own name.
            info: if reason == RejectReason::TIMEOUT { &guid } else { &[] },
            private_data,
        };
        compose(communication.transaction, Message::Rej(rej))
    }

    fn compose_sidr_rejection(
        &self,
        slot: usize,
        private_data: &[u8],
    ) -> Result<[u8; Mad::LENGTH], Error> {
        let communication = &self.table[slot];
        let rep = SidrRep {
            request_id: communication.remote_id,
            status: SidrStatus::REJECTED,
            qpn: Qpn::new(0),
            service: communication.service,
            qkey: QKey(0),
            info: &[],
            private_data,
        };
        compose(communication.transaction, Message::SidrRep(rep))
    }

    pub(super) fn receive_rej<A: Actions>(
        &mut self,
        route: &Route,
        rej: &Rej<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        // A peer that gives up may not know this side's name.
        let by_peer = rej.remote_id == CommId(0) && rej.reason == RejectReason::TIMEOUT;
        let name = (route.remote, rej.local_id, Purpose::Connection);
        let known = if by_peer { self.by_peer.find(&name) } else { None };
        let known = known.filter(|&slot| self.table[slot].route() == *route);
        let Some(slot) = known.or_else(|| self.slot_for(rej.remote_id, route)) else { return };
        let communication = &self.table[slot];
        let (id, reason) = (self.table.id(slot), rej.reason);
        let is_named = communication.remote_id == rej.local_id;
        let is_about_req = rej.received == Received::Req;
        match (communication.role, communication.state) {
            (Role::Active, State::ReqSent) => {}
            // A passive side that has not named itself yet rejects an earlier copy of the request.
            (Role::Active, State::RepReceived | State::Established) if is_about_req => {
                return self.counters.count(Refusal::State);
            }
            _ if !is_named => return self.counters.count(Refusal::Instance),
            (Role::Passive, State::ReqReceived | State::RepSent)
            | (Role::Active, State::RepReceived) => {}
            (_, State::Established | State::DreqSent) => {
                let was_asked = communication.state == State::DreqSent;
                let cause = if was_asked { Cause::Local } else { Cause::Rejected(reason) };
                return self.disconnected(slot, cause, rej.private_data, now, actions);
            }
            _ => return self.counters.count(Refusal::State),
        }
        let (info, private_data) = (rej.info, rej.private_data);
        actions.tell(Event::Rejected { id, reason, info, private_data });
        self.end(slot, now, actions);
    }
}
