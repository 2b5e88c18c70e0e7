//! A connection as the demultiplexer, the stack and the application share it.
//!
//! ```text
//!                 SYN, place found             handshake done
//!   Free ─────────────────────────▶ HalfOpen ─────────────────▶ Open
//!    ▲ │                               │                         │ │
//!    │ └──── connect ──▶ Connecting ───┼─────── SYN-ACK ────────▶┘ │
//!    │                        │        │ reset, time-out           │
//!    ├────────────────────────┼────────┘                           │
//!    │                        ▼ refused, time-out                  │ both FINs or a failure
//!    ├──── application told ─ Over ◀───────────────────────────────┤
//!    │                         ▲ 10 s, told or not                 │
//!    └─ told and expired, ─── TimeWait ◀───────────────────────────┘
//!       or place needed
//! ```
//!
//! The holder of the [`Endpoint`] owns the socket. It is in the record unless it was taken out, in
//! a section, for the time of one handler's work on it; a context that finds it gone leaves a mark
//! (`stack_wanted`, `application_wanted`), and the holder answers the mark with an activation when
//! it puts the endpoint back. Nothing ever waits.

use crate::ip::endpoint::Endpoint;
use crate::table::flow_key::FlowKey;
use crate::table::index::NONE;
use crate::table::outgoing::Outgoing;
use crate::table::queue::Queue;
use crate::table::ready_list::Link;
use crate::table::waiter::Waiter;
use crate::types::error::ConnectionError;
use crate::types::tcp_state::Watch;
use reflex_event::{EventId, Priority, TimerId};
use reflex_memory::Lent;

/// What the application is to be told, in the order in which it is told.
pub(crate) mod notice {
    pub(crate) const ACCEPTED: u8 = 1;
    pub(crate) const CONNECTED: u8 = 2;
    pub(crate) const RECEIVED: u8 = 4;
    pub(crate) const SENT: u8 = 8;
    pub(crate) const CLOSED: u8 = 16;
    pub(crate) const FAILED: u8 = 32;
    pub(crate) const ENDED: u8 = 64;
    pub(crate) const STATE: u8 = 128;
}

/// What the application asks of the stack.
pub(crate) mod request {
    pub(crate) const CLOSE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    /// With `ABORT`: more was written than there is room for.
    pub(crate) const OVERFLOW: u8 = 4;
}

/// How far the application's half of a connection is from its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Ending {
    #[default]
    Open,
    /// A FIN is to be sent when nothing is left that goes before it.
    Wanted,
    /// It has been asked for.
    Closed,
}

/// What was written and waits for room.
pub(crate) type WriteQueue = Outgoing<Lent<[u8]>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Phase {
    /// Its parts have not all been made.
    #[default]
    Unbuilt,
    Free,
    HalfOpen,
    Connecting,
    Open,
    /// The socket is closed; the application has not been told yet.
    Over,
    /// The socket is in TIME-WAIT.
    TimeWait,
}

/// The kernel's objects of one record, made once and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    /// Runs the stack on this connection.
    pub(crate) segment: EventId,
    /// Runs the application's handlers.
    pub(crate) application: EventId,
    /// Activates `segment`.
    pub(crate) timer: TimerId,
}

pub(crate) struct Record {
    pub(crate) key: FlowKey,
    /// Of the key.
    pub(crate) hash: u32,
    pub(crate) next_in_bucket: u32,
    pub(crate) queue: Queue,
    pub(crate) endpoint: Option<Lent<Endpoint>>,
    pub(crate) events: Option<Events>,
    /// Which connection it is of all that the record has been: too many to come round.
    pub(crate) generation: u64,
    pub(crate) group: u32,
    /// Index below the owner's limit.
    pub(crate) slot: u32,
    /// In which of its owner's lives it was registered.
    pub(crate) life: u64,
    pub(crate) priority: Priority,
    pub(crate) phase: Phase,
    pub(crate) notices: u8,
    pub(crate) requests: u8,
    pub(crate) error: Option<ConnectionError>,
    /// The application knows that the connection is over.
    pub(crate) told: bool,
    pub(crate) stack_wanted: bool,
    pub(crate) application_wanted: bool,
    /// A send was short, or the queue is filling up: the application waits for room.
    pub(crate) send_blocked: bool,
    /// What was written and waits for room; made when it is first needed, and kept.
    pub(crate) outgoing: Option<Lent<WriteQueue>>,
    /// It was accepted, its queue was more than half full, and has not been empty since: what has been received
    /// is not told.
    pub(crate) held: bool,
    /// What is told when it is empty.
    pub(crate) withheld: u8,
    pub(crate) ending: Ending,
    /// The application watches the socket's state.
    pub(crate) watch: Option<Watch>,
    /// In one of the stack's waiting lists, and the one behind it there.
    pub(crate) waiting: bool,
    pub(crate) next_waiting: Option<Waiter>,
    /// In its group's list of those that are to run.
    pub(crate) ready: Link,
    /// In its group's list of those of which there is something to tell.
    pub(crate) telling: Link,
    /// Links of the owner's list of free records or of those in TIME-WAIT.
    pub(crate) previous: u32,
    pub(crate) next: u32,
    pub(crate) listed: bool,
}

impl Record {
    pub(crate) fn new(group: u32, slot: u32, priority: Priority, queue: u16) -> Self {
        Self {
            key: FlowKey::default(),
            hash: 0,
            next_in_bucket: NONE,
            queue: Queue::new(queue),
            endpoint: None,
            events: None,
            generation: 1,
            group,
            slot,
            life: 0,
            priority,
            phase: Phase::Unbuilt,
            notices: 0,
            requests: 0,
            error: None,
            told: false,
            stack_wanted: false,
            application_wanted: false,
            send_blocked: false,
            outgoing: None,
            held: false,
            withheld: 0,
            ending: Ending::Open,
            watch: None,
            waiting: false,
            next_waiting: None,
            ready: Link::NONE,
            telling: Link::NONE,
            previous: NONE,
            next: NONE,
            listed: false,
        }
    }

    /// Bytes that wait in its queue.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.outgoing.as_ref().map_or(0, |queue| queue.used())
    }

    /// Bytes that there is room for in the send buffer: none while others are in front, or while
    /// somebody is at work on the endpoint.
    pub(crate) fn room(&mut self) -> usize {
        // The socket of one that connects still is what the last connection left of it.
        if self.phase == Phase::Connecting || self.queued() > 0 {
            return 0;
        }
        self.endpoint.as_mut().map_or(0, |endpoint| endpoint.room())
    }

    /// Asks for the FIN that is wanted, if the application has been told everything, and nothing waits for
    /// room any more. Says whether it has.
    #[inline]
    pub(crate) fn finish(&mut self) -> bool {
        let due = self.ending == Ending::Wanted
            && self.notices | self.withheld == 0
            && !self.send_blocked
            && self.queued() == 0;
        if due {
            self.ending = Ending::Closed;
            self.requests |= request::CLOSE;
        }
        due
    }

    /// Whether the flow table has it.
    pub(crate) fn in_table(&self) -> bool {
        !matches!(self.phase, Phase::Unbuilt | Phase::Free)
    }
}
