//! A run of a connection: what it works on, what it goes by, and what it has brought about.

use crate::ip::endpoint::Endpoint;
use crate::ip::tcp::limits::Patience;
use crate::table::connection_record::{Events, Phase, Record};
use crate::table::flow_key::FlowKey;
use crate::table::held::Held;
use crate::table::tables::Group;
use crate::types::error::ConnectionError;
use crate::types::tcp_state::TcpStates;
use reflex_event::{EventId, Instant, Priority, TimerId};
use reflex_hil::Frame;
use reflex_memory::Lent;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant as Time;

/// What a run works on.
#[derive(Default)]
pub(crate) struct Run {
    /// The connection that runs.
    pub(crate) index: u32,
    /// Until the run is over.
    pub(crate) endpoint: Option<Lent<Endpoint>>,
    pub(crate) first: Option<Frame>,
    /// Frames behind the first.
    pub(crate) behind: u16,
    pub(crate) requests: u8,
    /// Its application may hold a frame.
    pub(crate) may_hold: bool,
    /// Bytes were written that the socket had no room for.
    pub(crate) written: bool,
    pub(crate) phase: Phase,
    pub(crate) key: FlowKey,
    pub(crate) patience: Patience,
    pub(crate) timer: Option<TimerId>,
    pub(crate) priority: Priority,
    pub(crate) flush: Option<EventId>,
    /// Segments that came while it went on, and were fed without having been queued.
    pub(crate) beside: u32,
    pub(crate) work: Work,
    pub(crate) outcome: Outcome,
}

impl Run {
    /// Whether it has taken what it needs, and has not ended.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Takes what a run needs: the endpoint of a record that has one, and the frames that are queued are left.
    #[inline]
    pub(crate) fn take(
        &mut self,
        index: u32,
        (record, group): (&mut Record, &Group),
        events: Events,
        held: &Held,
    ) {
        core::mem::swap(&mut record.endpoint, &mut self.endpoint);
        self.index = index;
        self.behind = record.queue.len();
        self.requests = core::mem::take(&mut record.requests);
        self.phase = record.phase;
        self.key = record.key;
        self.patience = group.patience;
        self.written = record.queued() > 0;
        self.may_hold = held.has_room();
        self.timer = Some(events.timer);
        self.priority = record.priority;
        // A connection with a priority of its own does not wait for the others' flush.
        self.flush = group.run_event.filter(|_| record.priority == group.settings.priority);
        self.beside = 0;
    }
}

/// What a run has brought about.
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
    pub(crate) wait: Option<WaitsFor>,
    pub(crate) again: bool,
    /// States the socket has been in.
    pub(crate) states: TcpStates,
}

#[derive(Clone, Copy)]
pub(crate) enum WaitsFor {
    Buffer,
    Neighbour,
}

/// What a connection was when its run began, and what the run goes by.
pub(crate) struct Work {
    pub(super) now: Instant,
    pub(super) at: Time,
    /// Where its packets go next.
    pub(super) hop: Option<[u8; 6]>,
    /// The neighbour there has not answered yet.
    pub(super) pending: bool,
    pub(super) phase: Phase,
    pub(super) state: State,
    pub(super) unread: usize,
    /// Bytes had been received before that were not acknowledged yet.
    pub(super) owed: bool,
    pub(super) fin_received: bool,
    /// What its application has asked for.
    pub(super) requests: u8,
    /// It has stood still for too long.
    pub(super) overdue: bool,
    /// Nothing is out of the ordinary: segments may be heard and sent without the socket.
    pub(super) undisturbed: bool,
    /// Its address is not the interface's any more.
    pub(super) moved: bool,
    /// It could not even begin to connect.
    pub(super) failed: bool,
    /// A reset was among the segments.
    pub(super) reset: bool,
    /// Segments fed.
    pub(crate) fed: u32,
    /// Segments that were heard or sent without the socket.
    pub(super) predicted: u32,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            now: Instant::ZERO,
            at: Time::ZERO,
            hop: None,
            pending: false,
            phase: Phase::Unbuilt,
            state: State::Closed,
            unread: 0,
            owed: false,
            fin_received: false,
            requests: 0,
            overdue: false,
            undisturbed: false,
            moved: false,
            failed: false,
            reset: false,
            fed: 0,
            predicted: 0,
        }
    }
}
