//! The communication manager of a port: its tables, and what all of its parts have in common.

use super::communication::{Communication, Role};
use super::config::{ack_of_peer, nanos};
use super::deadlines::Deadlines;
use super::index::Index;
use super::listeners::Listeners;
use super::table::Table;
use super::{
    Actions, Cause, Config, Counters, Error, Event, Failure, Listen, ListenerId, Parameters,
    Refusal, Route, State,
};
use crate::Instant;
use reflex_rdma_wire::cm::{CommId, IpHeader, Mad, Message, ServiceId};
use reflex_rdma_wire::{Gid, Qpn, Transport};

/// What a name of the peer's is for: the two kinds do not meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Purpose {
    Connection,
    Resolution,
}

/// A communication as the peer names it.
pub(super) type PeerName = (Gid, CommId, Purpose);

/// The communication manager of a port, the *agent* that speaks on its queue pair 1.
///
/// Its owner hands it the packets to queue pair 1 ([`Agent::receive`]), what applications ask for,
/// and the time ([`Agent::expire`], when [`Agent::deadline`] has come).
#[derive(Debug)]
pub struct Agent {
    pub(super) config: Config,
    pub(super) table: Table,
    /// Passive ones from their request on, active ones from the peer's reply on.
    pub(super) by_peer: Index<PeerName>,
    /// Likewise, until time-wait.
    pub(super) by_queue_pair: Index<(Gid, Qpn)>,
    pub(super) listeners: Listeners,
    pub(super) deadlines: Deadlines,
    pub(super) counters: Counters,
}

impl Agent {
    /// One that knows of nobody.
    pub fn new(config: &Config) -> Self {
        let communications = config.communications.clamp(1, 1 << 16) as usize;
        let retries = config.retries.min(15);
        let secret = &config.secret;
        Self {
            config: Config { retries, ..*config },
            table: Table::new(communications, config.first_id),
            by_peer: Index::new(communications, secret),
            by_queue_pair: Index::new(communications, secret),
            listeners: Listeners::new(config.listeners.max(1), secret),
            deadlines: Deadlines::new(communications),
            counters: Counters::new(),
        }
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Communications, those in time-wait included.
    pub fn count(&self) -> usize {
        self.table.count()
    }

    /// The names of all communications, those in time-wait included.
    pub fn communications(&self) -> impl Iterator<Item = CommId> + '_ {
        self.table.ids()
    }

    /// Where a communication stands; `None` when it has ended.
    pub fn state(&self, id: CommId) -> Option<State> {
        Some(self.table[self.table.find(id)?].state)
    }

    /// What a connection's queue pair is told, as far as it is known.
    pub fn parameters(&self, id: CommId) -> Option<&Parameters> {
        Some(&self.table[self.table.find(id)?].parameters)
    }

    /// Asks to be told of requests.
    ///
    /// # Errors
    /// [`Error::ServiceTaken`], [`Error::ListenersFull`].
    pub fn listen(&mut self, listen: &Listen) -> Result<ListenerId, Error> {
        self.listeners.open(listen)
    }

    /// Asks no longer. Requests that were told stay.
    ///
    /// # Errors
    /// [`Error::UnknownListener`].
    pub fn close(&mut self, listener: ListenerId) -> Result<(), Error> {
        self.listeners.close(listener)
    }

    /// Requests that take a place in a listener's backlog; `None` when it is closed.
    pub fn waiting(&self, listener: ListenerId) -> Option<u16> {
        self.listeners.waiting(listener)
    }

    /// The slot of a communication that an application names.
    pub(super) fn slot(&self, id: CommId) -> Result<usize, Error> {
        self.table.find(id).ok_or(Error::UnknownCommunication)
    }

    /// The slot of a communication that the sender of a message names, if it may.
    pub(super) fn slot_for(&mut self, id: CommId, route: &Route) -> Option<usize> {
        let Some(slot) = self.table.find(id) else {
            self.counters.count(Refusal::UnknownId);
            return None;
        };
        if self.table[slot].route() != *route {
            self.counters.count(Refusal::Address);
            return None;
        }
        Some(slot)
    }

    /// A slot for a communication that begins here. It asks for nothing yet.
    pub(super) fn begin(&mut self, role: Role, state: State, route: Route) -> Result<usize, Error> {
        let slot = self.table.take().ok_or(Error::TableFull)?;
        let id = self.table.id(slot);
        let Config { transaction, service_timeout, retries, .. } = self.config;
        // The lower half is the communication ID, its bytes in reverse, as Linux has it.
        let transaction = u64::from(transaction) << 32 | u64::from(id.0.swap_bytes());
        self.table[slot] = Communication {
            state,
            role,
            transaction,
            service_timeout,
            retries,
            interval: self.config.round_trip(),
            parameters: Parameters { route, ..Parameters::none() },
            ..Communication::none()
        };
        Ok(slot)
    }

    pub(super) fn send<A: Actions>(
        &mut self,
        route: &Route,
        transaction: u64,
        message: Message<'_>,
        actions: &mut A,
    ) {
        // Messages that the application has a part in are composed when it calls.
        if let Ok(mad) = compose(transaction, message) {
            self.counters.sent = self.counters.sent.saturating_add(1);
            actions.send(route, &mad);
        }
    }

    /// Sends what a slot keeps.
    pub(super) fn send_kept<A: Actions>(&mut self, slot: usize, actions: &mut A) {
        self.counters.sent = self.counters.sent.saturating_add(1);
        let communication = &self.table[slot];
        actions.send(&communication.route(), &communication.mad);
    }

    /// Sends a message that is sent again until an answer comes.
    pub(super) fn ask<A: Actions>(
        &mut self,
        slot: usize,
        state: State,
        mad: [u8; Mad::LENGTH],
        now: Instant,
        actions: &mut A,
    ) {
        let communication = &mut self.table[slot];
        communication.state = state;
        communication.mad = mad;
        communication.tries_left = communication.retries;
        communication.may_prolong = true;
        let deadline = now.plus_nanos(communication.interval);
        self.deadlines.set(slot, deadline);
        self.send_kept(slot, actions);
    }

    /// Gives the place in a listener's backlog back.
    pub(super) fn leave_backlog(&mut self, slot: usize) {
        if let Some(listener) = self.table[slot].listener.take() {
            self.listeners.leave_backlog(listener);
        }
    }

    /// Waits until no packet of the connection can be under way any more.
    pub(super) fn time_wait(&mut self, slot: usize, now: Instant) {
        self.leave_backlog(slot);
        self.by_queue_pair.remove(slot);
        let communication = &mut self.table[slot];
        communication.state = State::TimeWait;
        // Twice a packet's life and the delay of an acknowledge: what the queue pair's time-out is
        // made of.
        let wait = nanos(ack_of_peer(communication.parameters.ack_timeout));
        self.deadlines.set(slot, now.plus_nanos(wait));
    }

    /// A slot is free, and nobody is told: it never was anybody's.
    pub(super) fn forget(&mut self, slot: usize) {
        self.leave_backlog(slot);
        self.by_peer.remove(slot);
        self.by_queue_pair.remove(slot);
        self.deadlines.remove(slot);
        self.table.give_back(slot);
    }

    /// Nothing is left of a communication.
    pub(super) fn release<A: Actions>(&mut self, slot: usize, actions: &mut A) {
        let id = self.table.id(slot);
        self.forget(slot);
        actions.tell(Event::Released { id });
    }

    /// The connection has ended.
    pub(super) fn disconnected<A: Actions>(
        &mut self,
        slot: usize,
        cause: Cause,
        private_data: &[u8],
        now: Instant,
        actions: &mut A,
    ) {
        self.time_wait(slot, now);
        actions.tell(Event::Disconnected { id: self.table.id(slot), cause, private_data });
    }

    /// Ends a communication with a queue pair that the peer has begun anew with. Returns whether it
    /// was a stale connection, so that the new one has to be rejected (IBA volume 1, 12.9): this
    /// side may still be sending to that queue pair.
    pub(super) fn supersede<A: Actions>(
        &mut self,
        old: usize,
        now: Instant,
        actions: &mut A,
    ) -> bool {
        let (id, failure) = (self.table.id(old), Failure::Stale);
        match self.table[old].state {
            State::Established => {
                self.disconnected(old, Cause::Stale, &[], now, actions);
                return true;
            }
            // It was on its way out anyway; the answer was lost.
            State::DreqSent => self.disconnected(old, Cause::Local, &[], now, actions),
            _ => {
                actions.tell(Event::Failed { id, failure });
                self.end(old, now, actions);
            }
        }
        false
    }

    /// A communication that was no connection yet has ended, and the application knows. If the
    /// peer was told of the queue pair, its number rests for a while: a late copy of the
    /// message would be taken for the next connection's.
    pub(super) fn end<A: Actions>(&mut self, slot: usize, now: Instant, actions: &mut A) {
        match self.table[slot].state {
            State::ReqReceived | State::SidrReqSent | State::SidrReqReceived => {
                self.release(slot, actions);
            }
            _ => self.time_wait(slot, now),
        }
    }
}

/// A datagram with that message.
pub(super) fn compose(transaction: u64, message: Message<'_>) -> Result<[u8; Mad::LENGTH], Error> {
    let mut mad = [0; Mad::LENGTH];
    Mad { transaction, message }.emit(&mut mad)?;
    Ok(mad)
}

/// Private data behind the addresses that services of the IP port spaces begin theirs with (IBA,
/// annex A11), written into `buffer`.
pub(super) fn with_header<'a>(
    service: ServiceId,
    route: &Route,
    source_port: u16,
    private_data: &[u8],
    buffer: &'a mut [u8; Mad::LENGTH],
) -> Result<&'a [u8], Error> {
    let (header, rest) = buffer.split_first_chunk_mut().ok_or(Error::PrivateDataTooLong)?;
    if service.to_ip().is_none() {
        let all = buffer.get_mut(..private_data.len()).ok_or(Error::PrivateDataTooLong)?;
        all.copy_from_slice(private_data);
        return Ok(all);
    }
    IpHeader { source: route.local, source_port, destination: route.remote }.emit(header)?;
    let room = rest.get_mut(..private_data.len()).ok_or(Error::PrivateDataTooLong)?;
    room.copy_from_slice(private_data);
    Ok(&buffer[..IpHeader::LENGTH + private_data.len()])
}

/// Takes apart what [`with_header`] wrote on the other side.
pub(super) fn split_header(
    service: ServiceId,
    private_data: &[u8],
) -> Result<(Option<IpHeader>, &[u8]), Refusal> {
    if service.to_ip().is_none() {
        return Ok((None, private_data));
    }
    let (header, rest) = IpHeader::parse(private_data).map_err(|_| Refusal::Header)?;
    Ok((Some(header), rest))
}

/// The transport that a request for a connection may ask for.
pub(super) const fn is_connected(transport: Transport) -> bool {
    matches!(transport, Transport::Reliable | Transport::Unreliable)
}
