//! The end of a connection: DREQ and DREP.
//!
//! A DREQ of the peer's is answered at once: there is nothing for the application to decide.

use super::agent::compose;
use super::{Actions, Agent, Cause, Error, Refusal, Route, State};
use crate::Instant;
use reflex_rdma_wire::cm::{CommId, Drep, Dreq, Message};

impl Agent {
    /// Ends a connection. [`Event::Disconnected`](super::Event::Disconnected) tells when the peer
    /// has confirmed, or has not in time.
    ///
    /// # Errors
    /// [`Error::UnknownCommunication`], [`Error::State`], [`Error::PrivateDataTooLong`]: at most 220
    /// bytes.
    pub fn disconnect<A: Actions>(
        &mut self,
        id: CommId,
        private_data: &[u8],
        now: Instant,
        actions: &mut A,
    ) -> Result<(), Error> {
        let slot = self.slot(id)?;
        let communication = &self.table[slot];
        if communication.state != State::Established {
            return Err(Error::State);
        }
        let remote_qpn = communication.parameters.remote_qpn;
        let remote_id = communication.remote_id;
        let dreq = Dreq { local_id: id, remote_id, remote_qpn, private_data };
        let mad = compose(communication.transaction, Message::Dreq(dreq))?;
        self.ask(slot, State::DreqSent, mad, now, actions);
        Ok(())
    }

    pub(super) fn receive_dreq<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        dreq: &Dreq<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        let Some(slot) = self.table.find(dreq.remote_id) else {
            // What the peer wants is so already: it would ask again and again.
            self.counters.count(Refusal::UnknownId);
            return self.send_drep(route, transaction, dreq, actions);
        };
        let communication = &self.table[slot];
        let (known, state) = (communication.remote_id, communication.state);
        if communication.route() != *route {
            return self.counters.count(Refusal::Address);
        }
        if known != dreq.local_id || communication.parameters.local_qpn != dreq.remote_qpn {
            return self.counters.count(Refusal::Instance);
        }
        let cause = match state {
            State::RepReceived | State::RepSent | State::Established => Cause::Peer,
            // Both asked.
            State::DreqSent => Cause::Local,
            State::TimeWait => {
                self.counters.count(Refusal::Duplicate);
                return self.send_drep(route, transaction, dreq, actions);
            }
            _ => return self.counters.count(Refusal::State),
        };
        self.send_drep(route, transaction, dreq, actions);
        self.disconnected(slot, cause, dreq.private_data, now, actions);
    }

    fn send_drep<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        dreq: &Dreq<'_>,
        actions: &mut A,
    ) {
        let (local_id, remote_id) = (dreq.remote_id, dreq.local_id);
        let drep = Drep { local_id, remote_id, private_data: &[] };
        self.send(route, transaction, Message::Drep(drep), actions);
    }

    pub(super) fn receive_drep<A: Actions>(
        &mut self,
        route: &Route,
        drep: &Drep<'_>,
        now: Instant,
        actions: &mut A,
    ) {
        let Some(slot) = self.slot_for(drep.remote_id, route) else { return };
        let communication = &self.table[slot];
        match communication.state {
            _ if communication.remote_id != drep.local_id => {
                self.counters.count(Refusal::Instance);
            }
            State::DreqSent => {
                self.disconnected(slot, Cause::Local, drep.private_data, now, actions);
            }
            State::TimeWait => self.counters.count(Refusal::Duplicate),
            _ => self.counters.count(Refusal::State),
        }
    }
}
