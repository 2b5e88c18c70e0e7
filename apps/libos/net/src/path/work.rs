//! The work of a run on its connection's endpoint: it begins, is fed segment after segment, and is completed.

use crate::ip::endpoint::Endpoint;
use crate::ip::interface::{Egress, Engine};
use crate::ip::neighbour::Answer;
use crate::ip::tcp::limits::{Doubt, Patience};
use crate::ip::time::{instant, time};
use crate::path::run::{Outcome, Run, WaitsFor, Work};
use crate::path::stack::Stack;
use crate::table::connection_record::{Phase, notice, request};
use crate::table::flow_key::FlowKey;
use crate::table::handle::Net;
use crate::types::error::ConnectionError;
use crate::types::settings::ACK_DELAY;
use core::net::{Ipv4Addr, SocketAddrV4};
use reflex_event::{Instant, Kernel, TimerId};
use reflex_hil::Frame;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant as Time;

/// Most segments fed in one run.
pub(crate) const BATCH: u32 = 8;

impl Run {
    /// Begins the work: does what the application has asked for, and finds out where packets go.
    #[inline]
    pub(crate) fn begin<K: Kernel>(&mut self, stack: &mut Stack<K>) {
        let Self { index, endpoint: Some(endpoint), work, outcome, phase, requests, key, .. } =
            self
        else {
            return;
        };
        let (written, may_hold, timer) = (&self.written, &self.may_hold, &self.timer);
        let (endpoint, Stack { net, engine, .. }) = (&mut **endpoint, stack);
        let now = net.kernel().now();
        (work.now, work.at) = (now, time(now));
        (work.fed, work.predicted) = (0, 0);
        *outcome = Outcome::default();
        work.failed = *phase == Phase::Connecting
            && !endpoint.started
            && !engine.connect(net, *index, endpoint, (key, self.patience), work.at);
        if work.failed {
            *outcome = Outcome::failed(ConnectionError::AddressLost);
            return;
        }
        work.moved = engine.address.is_none_or(|own| u32::from(own.address) != key.local);
        work.find_hop(engine, endpoint, key.remote);
        let expired = endpoint.expire(now);
        let usual = work.hop.is_some()
            && !work.moved
            && (*phase, *requests, *written) == (Phase::Open, 0, false);
        if expired && usual && endpoint.goes_on_ahead() {
            arm(net, endpoint, *timer, now + ACK_DELAY, now);
        }
        work.undisturbed = usual && *may_hold && endpoint.wakes_early(now);
        if !work.undisturbed {
            let late = expired && endpoint.lead.is_ahead();
            engine.catch_up(endpoint, (work.hop, work.at));
            // What the timer was set for.
            endpoint.lead.unheard |= late && endpoint.owes;
        }
        work.overdue = expired && !endpoint.lead.is_ahead() && {
            if engine.doubt_path(endpoint, key.remote, now) {
                work.find_hop(engine, endpoint, key.remote);
            }
            endpoint.is_overdue(self.patience, now)
        };
        (work.reset, work.phase, work.requests) = (false, *phase, *requests);
        (work.fin_received, work.owed) = (endpoint.fin_received, endpoint.owes);
        work.unread = endpoint.unread();
        work.state = endpoint.state();
        if *requests & request::ABORT != 0 || work.moved {
            // smoltcp sends no reset from an address that is no longer ours.
            endpoint.socket().abort();
        } else if *requests & request::CLOSE != 0 {
            endpoint.socket().close();
            outcome.states.insert(endpoint.state().into());
        }
        if expired && !endpoint.lead.is_ahead() {
            engine.time_out(endpoint, work.hop, now);
        }
    }

    /// Feeds the socket a segment.
    #[inline]
    pub(crate) fn feed<K: Kernel>(&mut self, stack: &mut Stack<K>, frame: Option<Frame>) {
        let Self { endpoint: Some(endpoint), work, outcome, .. } = self else { return };
        let Some(frame) = frame else { return };
        if work.fed > 0 {
            // What the one before has led to.
            outcome.states.insert(endpoint.socket().state().into());
        }
        let moment = (work.hop, work.at);
        work.reset |= stack.engine.segment(frame, endpoint, moment, work.undisturbed);
        work.fed += 1;
        work.predicted += u32::from(endpoint.lead.is_ahead());
        // The frame's buffer goes back to the device before the next is looked at.
    }

    /// Sends what there is to send, and notes what has become of the connection.
    #[inline]
    pub(crate) fn complete<K: Kernel>(&mut self, stack: &mut Stack<K>) {
        if self.work.failed || self.completes_plainly(&mut stack.engine) {
            return;
        }
        let Self { endpoint: Some(endpoint), work, outcome, .. } = self else { return };
        let Stack { net, engine, .. } = stack;
        engine.catch_up(endpoint, (work.hop, work.at));
        let state = endpoint.socket().state();
        outcome.states.insert(state.into());
        // A section for each piece.
        while self.written && net.with(|shared| shared.refill(self.index, endpoint)) {}
        endpoint.be_patient(self.patience);
        if work.overdue {
            endpoint.socket().abort();
        }
        if work.pending {
            outcome.wait = Some(WaitsFor::Neighbour);
        } else {
            let fin_sent = work.fed > 0 && work.has_sent_fin();
            match engine.egress(endpoint, work.hop, work.at, fin_sent) {
                Egress::Until(due) => {
                    let again = endpoint.recovery_due(work.now);
                    let first = [due.map(instant), again].into_iter().flatten().min();
                    if let Some(due) = first {
                        arm(net, endpoint, self.timer, due, work.now);
                    }
                }
                Egress::More => outcome.again = true,
                Egress::Full => {
                    engine.tally.transmit_full += 1;
                    outcome.wait = Some(WaitsFor::Buffer);
                }
            }
        }
        if endpoint.lead.unheard {
            engine.acknowledge(endpoint, (work.hop, work.at));
            (endpoint.owes, endpoint.lead.unheard) = (false, false);
        }
        work.compare(endpoint, state, outcome);
    }

    /// Completes the work where it is known, without asking smoltcp for all that may be due, that nothing more
    /// is to be done before the peer, the application or the timer does something. So it is with an established
    /// connection that has received one segment at most and has nothing to send, as its application is about to,
    /// and with one that then sends all that was queued.
    #[inline]
    fn completes_plainly(&mut self, engine: &mut Engine) -> bool {
        let Self { endpoint: Some(endpoint), work, outcome, written, .. } = self else {
            return false;
        };
        if endpoint.lead.is_ahead() {
            return self.completes_ahead(engine);
        }
        let early = endpoint.wakes_early(work.now) && endpoint.doubt == Doubt::None;
        let queued = core::mem::take(&mut endpoint.queued);
        let socket = endpoint.socket();
        let (unread, unsent) = (socket.recv_queue(), socket.send_queue());
        let capacity = socket.send_capacity();
        let lasts = (work.state, socket.state()) == (State::Established, State::Established);
        let received = unread > work.unread;
        endpoint.owes |= received;
        let plain = lasts
            && early
            && work.phase == Phase::Open
            && (work.requests, work.fed <= 1, outcome.again) == (0, true, false)
            && !work.moved
            && !*written
            && work.hop.is_some();
        // The first segment that is not acknowledged waits for an answer; from the second on it is for smoltcp
        // to say how many may wait.
        let complete = match unsent {
            0 => plain && !work.owed,
            _ => plain && queued && engine.answer(endpoint, work.hop, work.at),
        };
        if complete {
            outcome.unread = unread > 0;
            outcome.roomy = unsent == 0 || capacity - unsent >= capacity / 2;
            outcome.notices |= if received { notice::RECEIVED } else { 0 };
        }
        complete
    }
}

impl Run {
    /// Completes the work of a connection that is ahead of its socket. False when the socket is to catch up.
    #[inline]
    fn completes_ahead(&mut self, engine: &mut Engine) -> bool {
        let Self { endpoint: Some(endpoint), work, outcome, written, .. } = self else {
            return false;
        };
        if !work.undisturbed || *written || outcome.again {
            return false;
        }
        if endpoint.lead.has_queued() {
            if !engine.answer_ahead(endpoint, work.hop, work.at) {
                return false;
            }
            work.predicted += 1;
        }
        endpoint.queued = false;
        let (unread, unsent) = (endpoint.unread(), endpoint.unsent());
        outcome.unread = unread > 0;
        outcome.roomy = unsent * 2 <= endpoint.send_capacity;
        outcome.notices |= if unread > work.unread { notice::RECEIVED } else { 0 };
        true
    }
}

impl Work {
    /// Finds out where packets to `remote` go.
    #[inline]
    fn find_hop(&mut self, engine: &mut Engine, endpoint: &mut Endpoint, remote: u32) {
        let answer = engine.connection_hop(&mut endpoint.hop, remote, self.now);
        self.pending = answer == Answer::Pending;
        self.hop = match answer {
            Answer::Known(mac, _) => Some(mac),
            Answer::Pending | Answer::Gone => None,
        };
    }

    #[inline]
    fn has_sent_fin(&self) -> bool {
        matches!(self.state, State::FinWait1 | State::Closing | State::LastAck)
    }

    /// Why the socket is closed now, if that is a failure. `fed`: its state when it had been fed.
    fn why(&self, endpoint: &mut Endpoint, fed: State) -> Option<ConnectionError> {
        if self.requests & request::OVERFLOW != 0 {
            return Some(ConnectionError::WriteOverflow);
        }
        if self.requests & request::ABORT != 0 {
            return None;
        }
        if self.reset {
            return match (self.phase, self.state) {
                (Phase::Connecting, State::SynSent) => Some(ConnectionError::Refused),
                // Both sides had said all they wanted to.
                (_, State::Closing | State::LastAck) => None,
                _ => Some(ConnectionError::Reset),
            };
        }
        if self.moved {
            return Some(ConnectionError::AddressLost);
        }
        match endpoint.was_unreachable() {
            true => Some(ConnectionError::Unreachable),
            false => (fed != State::Closed).then_some(ConnectionError::TimedOut),
        }
    }

    /// Notes what the run has made of it.
    #[inline]
    fn compare(&self, endpoint: &mut Endpoint, fed: State, outcome: &mut Outcome) {
        let fin_received = endpoint.fin_received;
        let state = endpoint.socket().state();
        outcome.judge(self.phase, state, || self.why(endpoint, fed));
        if outcome.phase.unwrap_or(self.phase) == Phase::HalfOpen {
            return;
        }
        let socket = endpoint.socket();
        let (queued, capacity) = (socket.send_queue(), socket.send_capacity());
        outcome.roomy = socket.may_send() && (queued == 0 || capacity - queued >= capacity / 2);
        let unread = socket.recv_queue();
        outcome.unread = unread > 0;
        if unread > self.unread {
            outcome.notices |= notice::RECEIVED;
        }
        if fin_received && !self.fin_received {
            outcome.notices |= notice::CLOSED;
        }
    }
}

/// Sets the connection's timer, unless it will go off early enough anyway: a run that comes
/// too early costs less than setting the timer on every segment.
#[inline]
fn arm<K: Kernel>(
    net: &Net<K>,
    endpoint: &mut Endpoint,
    timer: Option<TimerId>,
    due: Instant,
    now: Instant,
) {
    if endpoint.armed.is_none_or(|armed| due < armed) {
        let due = due.max(now);
        if timer.is_some_and(|timer| net.kernel().arm(timer, due, None).is_ok()) {
            endpoint.armed = Some(due);
        }
    }
}

impl Engine {
    /// Begins an outgoing connection on a socket that served another before. False when the
    /// interface no longer has the local address.
    #[cold]
    fn connect<K: Kernel>(
        &mut self,
        net: &Net<K>,
        index: u32,
        endpoint: &mut Endpoint,
        (key, patience): (&FlowKey, Patience),
        now: Time,
    ) -> bool {
        let settings = net.with(|shared| {
            let group = shared.records[index].group;
            shared.groups[group as usize].settings
        });
        self.recycle(endpoint, &settings, now);
        let own = (key.local.to_be_bytes(), key.local_port);
        let peer = (key.remote.to_be_bytes(), key.remote_port);
        self.choose_sequence(endpoint, self.secret.initial([own, peer], now), now);
        endpoint.started = true;
        let local = Ipv4Addr::from(key.local);
        if self.address.is_none_or(|own| own.address != local) {
            return false;
        }
        let remote = SocketAddrV4::new(Ipv4Addr::from(key.remote), key.remote_port);
        let local = SocketAddrV4::new(local, key.local_port);
        let context = self.interface.context();
        let connected = endpoint.socket().connect(context, remote, local).is_ok();
        endpoint.be_patient(patience);
        connected
    }
}
