//! One connection's run in the stack's context.
//!
//! A run takes the endpoint out of the record, feeds the queued segments to the socket, sends
//! what the socket has to send, sets the timer, and puts the endpoint back together with what
//! the application is to be told. smoltcp runs outside all sections. Segments, the timer, the
//! application's wishes, a free transmit buffer and a neighbour's answer all come as
//! activations of the same event and are served by the same run.

use crate::ip::endpoint::Endpoint;
use crate::ip::interface::{Egress, Engine};
use crate::ip::neighbour::Answer;
use crate::ip::tcp::limits::Patience;
use crate::ip::time::{instant, time};
use crate::path::run_state::{Outcome, Run, WaitsFor};
use crate::path::stack::Stack;
use crate::table::connection_record::{Phase, notice, request};
use crate::table::flow_key::FlowKey;
use crate::table::handle::Net;
use crate::table::waiter::Waiter;
use crate::types::error::ConnectionError;
use core::net::{Ipv4Addr, SocketAddrV4};
use reflex_event::{EventId, Instant, Kernel, TimerId};
use reflex_hil::Frame;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant as Time;

/// Most segments fed in one run.
const BATCH: u32 = 8;

/// What is left to do when a run is over.
pub(crate) struct RunEnd {
    /// Frames were sent, of which the device has not been told.
    pub(crate) sent: bool,
    /// To be activated, for another run.
    pub(crate) again: Option<EventId>,
    /// No other connection of the group is to run.
    pub(crate) last: bool,
    /// No application has been told of anything that it has not heard yet.
    pub(crate) quiet: bool,
}

impl<K: Kernel> Stack<K> {
    /// Runs connection `index`.
    pub(crate) fn segments(&mut self, index: u32) {
        if !self.engine.look_for_room() {
            return self.starve(Waiter::Connection(index));
        }
        let mut run = Run::default();
        if self.net.with(|shared| shared.begin(index, &mut run)) {
            let end = self.run_connection(&mut run);
            if end.sent {
                self.flush_later(run.priority, run.flush);
            }
            if let Some(event) = end.again {
                self.net.activate(event);
            }
        }
        self.settle_rest();
    }

    /// Works through a run that has begun, and ends it.
    pub(crate) fn run_connection(&mut self, run: &mut Run) -> RunEnd {
        let outcome = self.work(run);
        if outcome.is_rare(run.phase) {
            let first_unresolved = self.net.with(|shared| shared.note_rare(run, &outcome));
            if first_unresolved {
                self.retry_later();
            }
        }
        let starved = matches!(outcome.wait, Some(WaitsFor::Buffer));
        let forget = outcome.forget;
        let sent = core::mem::take(&mut self.engine.tally.sent);
        let after = self.net.with(|shared| {
            shared.counters.sent += sent;
            shared.finish(run, outcome)
        });
        if forget || after.told {
            let index = run.index;
            self.net
                .with(|shared| if forget { shared.forget(index) } else { shared.settle(index) });
            self.net.drop_dead();
        }
        if starved {
            self.when_available();
        }
        if let Some(event) = after.application {
            self.net.activate(event);
        }
        RunEnd { sent: sent > 0, again: after.stack, last: after.last, quiet: after.quiet }
    }

    fn work(&mut self, run: &mut Run) -> Outcome {
        let Self { net, engine, .. } = self;
        let now = net.kernel().now();
        let at = time(now);
        let mut outcome = Outcome::default();
        let (index, phase, requests) = (run.index, run.phase, run.requests);
        let Run { endpoint: Some(endpoint), first, behind, written, key, patience, timer, .. } =
            run
        else {
            return outcome;
        };
        if phase == Phase::Connecting
            && !endpoint.started
            && !engine.connect(net, index, endpoint, (key, *patience), at)
        {
            return Outcome::failed(ConnectionError::AddressLost);
        }
        let endpoint = &mut **endpoint;
        let overdue =
            engine.expire(endpoint, key.remote, now) && endpoint.is_overdue(*patience, now);
        let address = engine.address.map(|own| u32::from(own.address));
        let moved = address != Some(key.local);
        let before = Before::of(endpoint, phase, requests, moved);
        let fin_sent = first.is_some() && before.has_sent_fin();
        if before.requests & request::ABORT != 0 || moved {
            // smoltcp sends no reset from an address that is no longer ours.
            endpoint.socket().abort();
        } else if requests & request::CLOSE != 0 {
            endpoint.socket().close();
            outcome.states.insert(endpoint.socket().state().into());
        }
        let answer = engine.connection_hop(&mut endpoint.hop, key.remote, now);
        let hop = match answer {
            Answer::Known(mac, _) => Some(mac),
            Answer::Pending | Answer::Gone => None,
        };
        let queued = Queued { index, first: first.take(), behind: *behind };
        let reset = queued.feed(net, engine, endpoint, (hop, at), &mut outcome);
        // A section for each piece.
        while *written && net.with(|shared| shared.refill(index, endpoint)) {}
        let fed = endpoint.be_patient(*patience);
        if overdue {
            endpoint.socket().abort();
        }
        if answer == Answer::Pending {
            outcome.wait = Some(WaitsFor::Neighbour);
        } else {
            match engine.egress(endpoint, hop, at, fin_sent) {
                Egress::Until(None) => {}
                Egress::Until(Some(due)) => arm(net, endpoint, *timer, instant(due), now),
                Egress::More => outcome.again = true,
                Egress::Full => {
                    engine.tally.transmit_full += 1;
                    outcome.wait = Some(WaitsFor::Buffer);
                }
            }
        }
        before.compare(endpoint, reset, fed, &mut outcome);
        outcome
    }
}

/// Segments that wait for their connection.
struct Queued {
    index: u32,
    first: Option<Frame>,
    /// How many are behind the first.
    behind: u16,
}

impl Queued {
    /// Feeds the socket segment after segment, up to a batch. True when a reset was among them.
    #[inline]
    fn feed<K: Kernel>(
        mut self,
        net: &Net<K>,
        engine: &mut Engine,
        endpoint: &mut Endpoint,
        (hop, at): (Option<[u8; 6]>, Time),
        outcome: &mut Outcome,
    ) -> bool {
        let mut reset = false;
        let mut fed = 0;
        while let Some(received) = self.first.take() {
            reset |= engine.segment(&received, endpoint, hop, at);
            outcome.states.insert(endpoint.socket().state().into());
            // Its buffer goes back to the device before the next is looked at.
            drop(received);
            fed += 1;
            if self.behind == 0 {
                break;
            }
            if fed == BATCH || engine.room == 0 {
                outcome.again = true;
                break;
            }
            self.behind -= 1;
            self.first = net.with(|shared| shared.pop(self.index));
        }
        reset
    }
}

/// What a connection was when its run began.
struct Before {
    phase: Phase,
    state: State,
    unread: usize,
    fin_received: bool,
    /// What its application has asked for.
    requests: u8,
    /// Its address is not the interface's any more.
    moved: bool,
}

impl Before {
    #[inline]
    fn of(endpoint: &mut Endpoint, phase: Phase, requests: u8, moved: bool) -> Self {
        let fin_received = endpoint.fin_received;
        let socket = endpoint.socket();
        let (state, unread) = (socket.state(), socket.recv_queue());
        Self { phase, state, unread, fin_received, requests, moved }
    }

    #[inline]
    fn has_sent_fin(&self) -> bool {
        matches!(self.state, State::FinWait1 | State::Closing | State::LastAck)
    }

    /// Why the socket is closed now, if that is a failure. `fed`: its state when it had been fed.
    fn why(&self, endpoint: &mut Endpoint, reset: bool, fed: State) -> Option<ConnectionError> {
        if self.requests & request::OVERFLOW != 0 {
            return Some(ConnectionError::WriteOverflow);
        }
        if self.requests & request::ABORT != 0 {
            return None;
        }
        if reset {
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
    fn compare(&self, endpoint: &mut Endpoint, reset: bool, fed: State, outcome: &mut Outcome) {
        let fin_received = endpoint.fin_received;
        let state = endpoint.socket().state();
        outcome.judge(self.phase, state, || self.why(endpoint, reset, fed));
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
