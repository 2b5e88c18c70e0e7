//! What comes to queue pair 1.

use super::{Actions, Agent, Refusal, Route};
use crate::Instant;
use reflex_rdma_wire::cm::{Mad, Message};
use reflex_rdma_wire::{Error, PKey, Packet, QKey, Qpn};

impl Agent {
    /// Takes a packet to queue pair 1.
    pub fn receive<A: Actions>(&mut self, packet: &Packet<'_>, now: Instant, actions: &mut A) {
        let bth = packet.bth();
        let is_management = packet.extension().deth().is_some_and(|deth| {
            deth.key == QKey::GENERAL_SERVICE && deth.source == Qpn::GENERAL_SERVICE
        });
        let is_here = bth.destination == Qpn::GENERAL_SERVICE;
        if !is_management || !is_here || !bth.partition.matches(PKey::DEFAULT) {
            return self.counters.count(Refusal::QueuePair);
        }
        let datagram = packet.datagram();
        let route = Route { local: datagram.destination(), remote: datagram.source() };
        self.receive_mad(&route, packet.payload(), now, actions);
    }

    /// Takes a management datagram that came by that route.
    pub fn receive_mad<A: Actions>(
        &mut self,
        route: &Route,
        payload: &[u8],
        now: Instant,
        actions: &mut A,
    ) {
        let Mad { transaction, message } = match Mad::parse(payload) {
            Ok(mad) => mad,
            Err(Error::MadAttribute) => return self.counters.count(Refusal::Attribute),
            Err(_) => return self.counters.count(Refusal::Malformed),
        };
        match message {
            Message::Req(req) => self.receive_req(route, transaction, &req, now, actions),
            Message::Mra(mra) => self.receive_mra(route, &mra, now),
            Message::Rej(rej) => self.receive_rej(route, &rej, now, actions),
            Message::Rep(rep) => self.receive_rep(route, transaction, &rep, now, actions),
            Message::Rtu(rtu) => self.receive_rtu(route, transaction, &rtu, actions),
            Message::Dreq(dreq) => self.receive_dreq(route, transaction, &dreq, now, actions),
            Message::Drep(drep) => self.receive_drep(route, &drep, now, actions),
            Message::SidrReq(req) => self.receive_sidr_req(route, transaction, &req, actions),
            Message::SidrRep(rep) => self.receive_sidr_rep(route, &rep, actions),
        }
    }
}
