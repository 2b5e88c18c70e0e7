//! Time passes: messages are sent again, waits end.

use super::config::service_of_peer;
use super::{Actions, Agent, Cause, Event, Failure, Refusal, Route, State};
use crate::Instant;
use reflex_rdma_wire::cm::{Mra, Received, RejectReason};

/// Communications that one call looks after at most, for it is called in a handler that others wait
/// for.
const BATCH: usize = 32;

impl Agent {
    /// When [`Agent::expire`] is to be called. It may change with every call; being called too
    /// early does no harm.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(time, _)| time)
    }

    /// Time has passed: `now` is [`Agent::deadline`] or later. The work of a call is bounded: when
    /// much is due at once, the deadline is in the past still, and another call is to follow.
    pub fn expire<A: Actions>(&mut self, now: Instant, actions: &mut A) {
        for _ in 0..BATCH {
            match self.deadlines.first() {
                Some((time, slot)) if time <= now => {
                    self.deadlines.remove(slot);
                    self.expire_one(slot, now, actions);
                }
                _ => return,
            }
        }
    }

    fn expire_one<A: Actions>(&mut self, slot: usize, now: Instant, actions: &mut A) {
        let communication = &mut self.table[slot];
        if communication.state == State::TimeWait {
            return self.release(slot, actions);
        }
        if let Some(left) = communication.tries_left.checked_sub(1) {
            communication.tries_left = left;
            communication.may_prolong = true;
            let next = now.plus_nanos(communication.interval);
            self.deadlines.set(slot, next);
            self.counters.retries = self.counters.retries.saturating_add(1);
            return self.send_kept(slot, actions);
        }
        self.counters.timeouts = self.counters.timeouts.saturating_add(1);
        let (id, failure) = (self.table.id(slot), Failure::TimedOut);
        match self.table[slot].state {
            State::DreqSent => self.disconnected(slot, Cause::Unanswered, &[], now, actions),
            State::RepSent => {
                self.send_rejection(slot, RejectReason::TIMEOUT, actions);
                actions.tell(Event::Failed { id, failure });
                self.end(slot, now, actions);
            }
            state => {
                if state == State::ReqSent {
                    self.send_rejection(slot, RejectReason::TIMEOUT, actions);
                }
                actions.tell(Event::Failed { id, failure });
                // The last request is older than a packet becomes.
                self.release(slot, actions);
            }
        }
    }

    pub(super) fn receive_mra(&mut self, route: &Route, mra: &Mra<'_>, now: Instant) {
        let Some(slot) = self.slot_for(mra.remote_id, route) else { return };
        let communication = &mut self.table[slot];
        let is_named = communication.remote_id == mra.local_id;
        match (communication.state, mra.received) {
            (State::ReqSent, Received::Req) => {}
            (State::RepSent, Received::Rep) if is_named => {}
            (State::RepSent, Received::Rep) => return self.counters.count(Refusal::Instance),
            _ => return self.counters.count(Refusal::State),
        }
        if !communication.may_prolong {
            return self.counters.count(Refusal::Duplicate);
        }
        communication.may_prolong = false;
        let wait = communication.interval + service_of_peer(mra.service_timeout);
        self.deadlines.set(slot, now.plus_nanos(wait));
    }
}
