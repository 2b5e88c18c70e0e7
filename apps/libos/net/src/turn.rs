//! The two ends of a connection's turn: what is taken out of the shared tables for it, and
//! what is put back, with whom to tell.

use crate::ConnectionError;
use crate::counters::Tally;
use crate::packet::FlowKey;
use crate::record::{Endpoint, Events, Phase, notice};
use crate::settings::Settings;
use crate::shared::{Shared, Waiter};
use crate::state::TcpStates;
use reflex_driver_api::Frame;
use reflex_event::{EventId, Kernel, Priority};
use reflex_memory::Lent;
use smoltcp::socket::tcp::State;

/// What a turn works on.
pub(crate) struct Turn {
    pub(crate) endpoint: Lent<Endpoint>,
    pub(crate) first: Option<Frame>,
    /// Frames behind the first.
    pub(crate) behind: u16,
    pub(crate) requests: u8,
    pub(crate) phase: Phase,
    pub(crate) key: FlowKey,
    pub(crate) settings: Settings,
    pub(crate) events: Events,
    pub(crate) priority: Priority,
    pub(crate) flush: Option<EventId>,
}

/// What a turn has brought about.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The phase it ended in.
    pub(crate) phase: Option<Phase>,
    pub(crate) notices: u8,
    pub(crate) error: Option<ConnectionError>,
    /// The handshake failed: nobody knows of the connection yet.
    pub(crate) forget: bool,
    /// There is room in the send buffer worth telling of.
    pub(crate) roomy: bool,
    /// There are unread bytes.
    pub(crate) unread: bool,
    pub(crate) wait: Option<Wait>,
    pub(crate) again: bool,
    /// States the socket has been in.
    pub(crate) states: TcpStates,
}

#[derive(Clone, Copy)]
pub(crate) enum Wait {
    Buffer,
    Neighbour,
}

/// Whom to activate when a turn is over.
#[derive(Default)]
pub(crate) struct After {
    pub(crate) application: Option<EventId>,
    pub(crate) stack: Option<EventId>,
    pub(crate) first_unresolved: bool,
}

impl Outcome {
    /// What the socket's state means to a connection in `phase`. `why` says why it closed.
    pub(crate) fn judge(
        &mut self,
        phase: Phase,
        state: State,
        why: impl FnOnce() -> Option<ConnectionError>,
    ) {
        let established = match (phase, state) {
            (Phase::HalfOpen, State::SynReceived)
            | (Phase::Connecting, State::SynSent | State::SynReceived) => return,
            (Phase::HalfOpen, State::Listen | State::Closed) => {
                self.forget = true;
                return;
            }
            (Phase::HalfOpen, _) => notice::ACCEPTED,
            (Phase::Connecting, State::Closed) => 0,
            (Phase::Connecting, _) => notice::CONNECTED,
            (Phase::Open, _) => 0,
            (Phase::TimeWait, State::TimeWait) => return,
            (Phase::TimeWait, _) => {
                self.phase = Some(Phase::Over);
                return;
            }
            (Phase::Over | Phase::Free | Phase::Unbuilt, _) => return,
        };
        self.notices |= established;
        self.phase = Some(match state {
            State::TimeWait => {
                self.notices |= notice::ENDED;
                Phase::TimeWait
            }
            State::Closed | State::Listen => {
                self.error = why();
                self.notices |= if self.error.is_some() { notice::FAILED } else { notice::ENDED };
                Phase::Over
            }
            _ => Phase::Open,
        });
    }
}

impl<K: Kernel> Shared<K> {
    /// Takes what a turn needs; `None` when there is nothing to do or the application is at it.
    #[inline]
    pub(crate) fn begin(&mut self, index: u32) -> Option<Turn> {
        let record = self.records.get_mut(index as usize)?;
        let events = record.events?;
        if !record.in_table() {
            return None;
        }
        let Some(endpoint) = record.endpoint.take() else {
            record.stack_wanted = true;
            return None;
        };
        let group = &self.groups[record.group as usize];
        let mut turn = Turn {
            endpoint,
            first: None,
            behind: 0,
            requests: core::mem::take(&mut record.requests),
            phase: record.phase,
            key: record.key,
            settings: group.settings,
            events,
            priority: record.priority,
            // A connection with a priority of its own does not wait for the others' flush.
            flush: group.flush_event.filter(|_| record.priority == group.settings.priority),
        };
        turn.first = self.pop(index);
        turn.behind = self.records[index as usize].queue.len();
        Some(turn)
    }

    /// Puts the endpoint back and notes what became of the connection.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        index: u32,
        endpoint: Lent<Endpoint>,
        before: Phase,
        outcome: Outcome,
        tally: &Tally,
    ) -> After {
        self.counters.add(tally);
        let record = &mut self.records[index as usize];
        record.endpoint = Some(endpoint);
        let mut after = After::default();
        let Some(events) = record.events else { return after };
        if outcome.forget {
            self.counters.half_open_failed += 1;
            self.release(index);
            return after;
        }
        let mut notices = outcome.notices;
        if core::mem::take(&mut record.application_wanted) && outcome.unread {
            notices |= notice::RECEIVED;
        }
        if record.send_blocked && outcome.roomy {
            record.send_blocked = false;
            notices |= notice::SENT;
        }
        if let (Some(watch), Some(endpoint)) = (&mut record.watch, &mut record.endpoint) {
            let mut states = outcome.states;
            states.insert(endpoint.socket().state().into());
            notices |= if watch.note(states) { notice::STATE } else { 0 };
        }
        if record.told {
            notices = 0;
        }
        if record.notices == 0 && notices != 0 {
            after.application = Some(events.application);
        }
        record.notices |= notices;
        if outcome.error.is_some() {
            record.error = outcome.error;
        }
        // More frames may have come, or the application may have asked, while it was gone.
        if outcome.again || core::mem::take(&mut record.stack_wanted) || record.requests != 0 {
            after.stack = Some(events.segment);
        }
        match outcome.wait {
            Some(Wait::Buffer) => self.wait_for_buffer(Waiter::Connection(index)),
            Some(Wait::Neighbour) => {
                after.first_unresolved = self.wait_for_neighbour(Waiter::Connection(index));
            }
            None => {}
        }
        if let Some(phase) = outcome.phase
            && phase != before
        {
            self.enter(index, before, phase, outcome.notices);
        }
        self.settle(index);
        after
    }

    fn enter(&mut self, index: u32, before: Phase, phase: Phase, notices: u8) {
        if before == Phase::HalfOpen {
            self.no_longer_half_open(index);
            self.counters.accepted += 1;
        }
        self.counters.connected += u64::from(notices & notice::CONNECTED != 0);
        self.counters.ended += u64::from(notices & notice::ENDED != 0);
        self.counters.failed += u64::from(notices & notice::FAILED != 0);
        self.records[index as usize].phase = phase;
    }

    /// Frees a connection that is over once the application knows, and lets one in TIME-WAIT
    /// be cut short from then on. Does nothing while the endpoint is out.
    pub(crate) fn settle(&mut self, index: u32) {
        let record = &mut self.records[index as usize];
        if !record.told {
            return;
        }
        if record.endpoint.is_none() {
            record.stack_wanted = true;
            return;
        }
        match record.phase {
            Phase::Over => self.release(index),
            Phase::TimeWait if !record.listed => {
                let group = record.group as usize;
                self.groups[group].time_wait.push_back(&mut self.records, index);
            }
            _ => {}
        }
    }
}
