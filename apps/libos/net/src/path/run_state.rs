//! The two ends of a connection's run: what is taken out of the shared tables for it, and
//! what is put back, with what is to be told.

use crate::ip::endpoint::Endpoint;
use crate::path::run::{Outcome, Run, WaitsFor};
use crate::table::connection_record::{Phase, notice};
use crate::table::ready_list::Listed;
use crate::table::tables::Shared;
use crate::table::waiter::Waiter;
use crate::types::error::ConnectionError;
use reflex_event::EventId;
use smoltcp::socket::tcp::State;

/// What to activate when a run is over.
#[derive(Default)]
pub(crate) struct After {
    pub(crate) application: Option<EventId>,
    pub(crate) stack: Option<EventId>,
    /// The application knows already that the connection is over.
    pub(crate) told: bool,
    /// See `RunEnd` in `connection_run`.
    pub(crate) last: bool,
    pub(crate) quiet: bool,
}

impl Outcome {
    /// The connection is over before its socket was.
    pub(crate) fn failed(error: ConnectionError) -> Self {
        let (phase, error) = (Some(Phase::Over), Some(error));
        Self { phase, error, notices: notice::FAILED, ..Self::default() }
    }

    /// Whether there is something to be [noted](Shared::note_rare) apart.
    #[inline]
    pub(crate) fn is_rare(&self, before: Phase) -> bool {
        self.phase.is_some_and(|phase| phase != before) || self.wait.is_some()
    }

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

impl Shared {
    /// Takes what a run needs; false when there is nothing to do or the application is at it.
    /// Written in place: there is a good deal of it.
    #[inline]
    pub(crate) fn begin(&mut self, index: u32, run: &mut Run) -> bool {
        let Some(record) = self.records.get_mut(index) else { return false };
        let Some(events) = record.events.filter(|_| record.in_table()) else { return false };
        if record.endpoint.is_none() {
            record.stack_wanted = true;
            return false;
        }
        let group = &mut *self.groups[record.group as usize];
        run.first = self.frames.pop(&mut record.queue);
        group.queued -= u32::from(run.first.is_some());
        run.take(index, (record, group), events, &self.held);
        true
    }

    /// Puts the endpoint back and notes what became of the connection.
    #[inline]
    pub(crate) fn finish(&mut self, run: &mut Run) -> After {
        let (mut after, outcome) = (After::default(), &run.outcome);
        let index = run.index;
        self.counters.frames += u64::from(run.beside);
        self.counters.segments += u64::from(run.beside);
        self.counters.predicted += u64::from(run.work.predicted);
        let record = &mut self.records[index];
        core::mem::swap(&mut record.endpoint, &mut run.endpoint);
        self.held.count(&mut record.endpoint);
        let Some(events) = record.events else { return after };
        let (mut notices, mut behind) = (outcome.notices, Listed::Before);
        if core::mem::take(&mut record.application_wanted) && outcome.unread {
            notices |= notice::RECEIVED;
        }
        if record.send_blocked && outcome.roomy && record.queued() == 0 {
            (record.send_blocked, record.held) = (false, false);
            notices |= notice::SENT | core::mem::take(&mut record.withheld);
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
            let group = &mut *self.groups[record.group as usize];
            let usual = record.priority == group.settings.priority && record.life == group.life;
            let together = group.settings.together && usual;
            let listed = match together {
                true => group.telling.append(&mut record.telling, index),
                false => Listed::First,
            };
            after.application = (listed == Listed::First).then_some(events.application);
            behind = listed;
            self.untold += 1;
        }
        record.notices |= notices;
        record.finish();
        // More frames may have come, or the application may have asked, while it was gone.
        let again =
            outcome.again || core::mem::take(&mut record.stack_wanted) || record.requests != 0;
        let group = record.group;
        after.told = record.told;
        if let Listed::Behind(last) = behind {
            self.records[last].telling.lead_to(index);
        }
        if again {
            // To be activated, unless that is what has it run now.
            after.stack = self.make_ready(index);
        }
        after.quiet = self.untold == 0;
        after.last = self.groups[group as usize].ready.is_empty();
        after
    }

    /// Hands a piece of what was written to the socket that is out for a run; false when there is none, or
    /// no room.
    pub(crate) fn refill(&mut self, index: u32, endpoint: &mut Endpoint) -> bool {
        let Some(queue) = &mut self.records[index].outgoing else { return false };
        // Refused when nothing can be sent any more.
        let taken = endpoint.socket().send_slice(queue.piece()).unwrap_or(0);
        queue.took(taken);
        taken > 0
    }

    /// Notes what a run seldom leads to, while the endpoint is still out. True when the connection is
    /// the first to wait for a neighbour.
    pub(crate) fn note_rare(&mut self, run: &Run) -> bool {
        let outcome = &run.outcome;
        if outcome.error.is_some() {
            self.records[run.index].error = outcome.error;
        }
        if let Some(phase) = outcome.phase.filter(|phase| *phase != run.phase) {
            self.enter(run.index, run.phase, phase, outcome.notices);
        }
        match outcome.wait.filter(|_| !outcome.forget) {
            Some(WaitsFor::Buffer) => self.wait_for_buffer(Waiter::Connection(run.index)),
            Some(WaitsFor::Neighbour) => {
                return self.wait_for_neighbour(Waiter::Connection(run.index));
            }
            None => {}
        }
        false
    }

    /// A handshake has failed.
    pub(crate) fn forget(&mut self, index: u32) {
        self.counters.half_open_failed += 1;
        self.release(index);
    }

    fn enter(&mut self, index: u32, before: Phase, phase: Phase, notices: u8) {
        if before == Phase::HalfOpen {
            self.no_longer_half_open(index);
            self.counters.accepted += 1;
        }
        self.counters.connected += u64::from(notices & notice::CONNECTED != 0);
        self.counters.ended += u64::from(notices & notice::ENDED != 0);
        self.counters.failed += u64::from(notices & notice::FAILED != 0);
        self.records[index].phase = phase;
    }

    /// Frees a connection that is over once the application knows, and lets one in TIME-WAIT
    /// be cut short from then on. Does nothing while the endpoint is out.
    pub(crate) fn settle(&mut self, index: u32) {
        let record = &mut self.records[index];
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
