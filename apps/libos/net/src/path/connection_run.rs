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
use crate::ip::time::{instant, smoltcp_duration, time};
use crate::path::run_state::{Outcome, Run, WaitsFor};
use crate::path::stack::Stack;
use crate::table::connection_record::{Phase, notice, request};
use crate::table::flow_key::FlowKey;
use crate::table::tables::Net;
use crate::table::waiter::Waiter;
use crate::types::error::ConnectionError;
use crate::types::settings::{CONNECT, FIN_WAIT, GIVE_UP, HANDSHAKE};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use reflex_event::{EventId, Instant, Kernel, TimerId};
use smoltcp::socket::tcp::State;

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
        let index = run.index;
        let Self { net, engine, .. } = self;
        let now = net.kernel().now();
        let at = time(now);
        let mut outcome = Outcome::default();
        let Run { endpoint: Some(endpoint), .. } = run else { return outcome };
        if run.phase == Phase::Connecting
            && !endpoint.started
            && !engine.connect(net, index, endpoint, (&run.key, run.idle), at)
        {
            outcome.phase = Some(Phase::Over);
            outcome.notices = notice::FAILED;
            outcome.error = Some(ConnectionError::AddressLost);
            return outcome;
        }
        let endpoint = &mut **endpoint;
        if endpoint.armed.is_some_and(|armed| armed <= now) {
            endpoint.armed = None;
        }
        let socket = endpoint.socket();
        let (begin, unread_before) = (socket.state(), socket.recv_queue());
        let closing = [State::FinWait1, State::Closing, State::LastAck];
        let fin_sent = run.first.is_some() && closing.contains(&begin);
        let fin_before = endpoint.fin_received;
        let address = engine.address.map(|own| u32::from(own.address));
        if run.requests & request::ABORT != 0 || address != Some(run.key.local) {
            // smoltcp sends no reset from an address that is no longer ours.
            endpoint.socket().abort();
        } else if run.requests & request::CLOSE != 0 {
            endpoint.socket().close();
            outcome.states.insert(endpoint.socket().state().into());
        }
        let answer = engine.connection_hop(&mut endpoint.hop, run.key.remote, now);
        let hop = match answer {
            Answer::Known(mac, _) => Some(mac),
            Answer::Pending | Answer::Gone => None,
        };

        let mut reset = false;
        let mut fed = 0;
        let mut frame = run.first.take();
        while let Some(received) = frame.take() {
            reset |= engine.segment(&received, endpoint, hop, at);
            outcome.states.insert(endpoint.socket().state().into());
            // Its buffer goes back to the device before the next is looked at.
            drop(received);
            fed += 1;
            if run.behind == 0 {
                break;
            }
            if fed == BATCH || engine.room == 0 {
                outcome.again = true;
                break;
            }
            run.behind -= 1;
            frame = net.with(|shared| shared.pop(index));
        }
        let fed_state = endpoint.be_patient(run.idle);
        if answer == Answer::Pending {
            outcome.wait = Some(WaitsFor::Neighbour);
        } else {
            match engine.egress(endpoint, hop, at, fin_sent) {
                Egress::Until(None) => {}
                Egress::Until(Some(due)) => arm(net, endpoint, run.timer, instant(due), now),
                Egress::More => outcome.again = true,
                Egress::Full => {
                    engine.tally.transmit_full += 1;
                    outcome.wait = Some(WaitsFor::Buffer);
                }
            }
        }

        let aborted = run.requests & request::ABORT != 0;
        let socket = endpoint.socket();
        let end = socket.state();
        let (phase, local) = (run.phase, run.key.local);
        let why = move || {
            if aborted {
                None
            } else if reset {
                Some(match (phase, begin) {
                    (Phase::Connecting, State::SynSent) => ConnectionError::Refused,
                    // Both sides had said all they wanted to.
                    (_, State::Closing | State::LastAck) => return None,
                    _ => ConnectionError::Reset,
                })
            } else if address != Some(local) {
                Some(ConnectionError::AddressLost)
            } else if fed_state == State::Closed {
                None
            } else {
                Some(ConnectionError::TimedOut)
            }
        };
        outcome.judge(run.phase, end, why);
        if outcome.phase.unwrap_or(run.phase) != Phase::HalfOpen {
            let (queued, capacity) = (socket.send_queue(), socket.send_capacity());
            outcome.roomy = socket.may_send() && (queued == 0 || capacity - queued >= capacity / 2);
            let unread = socket.recv_queue();
            outcome.unread = unread > 0;
            if unread > unread_before {
                outcome.notices |= notice::RECEIVED;
            }
            if endpoint.fin_received && !fin_before {
                outcome.notices |= notice::CLOSED;
            }
        }
        outcome
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

impl Endpoint {
    /// Sets how long the socket goes on without hearing from the peer, as its state asks for, which
    /// is returned.
    #[inline]
    fn be_patient(&mut self, idle: Option<Duration>) -> State {
        let socket = self.socket();
        let state = socket.state();
        let patience = match state {
            State::Closed | State::Listen | State::SynReceived => Some(HANDSHAKE),
            State::SynSent => Some(CONNECT),
            State::Established | State::CloseWait => {
                let unanswered = (socket.send_queue() > 0).then_some(GIVE_UP);
                match (unanswered, idle) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                }
            }
            _ => Some(FIN_WAIT),
        };
        let patience = patience.map(smoltcp_duration);
        socket.set_timeout(patience);
        state
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
        (key, idle): (&FlowKey, Option<Duration>),
        now: smoltcp::time::Instant,
    ) -> bool {
        let settings = net.with(|shared| {
            let group = shared.records[index].group;
            shared.groups[group as usize].settings
        });
        self.recycle(endpoint, &settings, now);
        endpoint.started = true;
        let local = Ipv4Addr::from(key.local);
        if self.address.is_none_or(|own| own.address != local) {
            return false;
        }
        let remote = SocketAddrV4::new(Ipv4Addr::from(key.remote), key.remote_port);
        let local = SocketAddrV4::new(local, key.local_port);
        let context = self.interface.context();
        let connected = endpoint.socket().connect(context, remote, local).is_ok();
        endpoint.be_patient(idle);
        connected
    }
}
