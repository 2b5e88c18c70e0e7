//! What is known of a socket, and of the connection that it has.

use crate::Tags;
use crate::asking::{Asking, UNANSWERED};
use crate::event::Role;
use crate::greeting::{Greeting, MAGIC, Service, VERSION, reason};
use crate::link::Link;
use crate::outgoing::Outgoing;
use crate::record::Kind;
use crate::settings::Settings;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Records that are said in one section.
const SAID_AT_ONCE: usize = 4;

/// How far a connection has come.
///
/// ```text
///  Idle --dial--> Connecting --established--> Greeting --Hello, Welcome--> Up --close--> Closing
///   ^                 |           (accepted) --^  |                          |              |
///   '---- lost -------+---------------------------+--------------------------'              '-> gone
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It waits to be connected again.
    Idle,
    Connecting,
    Greeting,
    Up,
    /// What was taken is sent; then it is closed. `was_up`: its end is told as that of a connection that stood.
    Closing {
        was_up: bool,
    },
}

/// A record that is no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    Hello,
    Welcome,
    Refused(u64),
    /// One of those about subscriptions.
    About(Kind, Tags),
    Beat,
}

/// What is known of a socket.
pub(crate) struct State {
    pub(crate) role: Role,
    /// Where it is connected to, if it was asked for here and has not been closed.
    pub(crate) dial: Option<SocketAddr>,
    /// Attempts since a connection stood.
    pub(crate) attempts: u32,
    /// The publisher that it is a subscriber of.
    pub(crate) publisher: usize,
    pub(crate) phase: Phase,
    /// The connection, unless somebody has it in hand.
    pub(crate) link: Option<Box<dyn Link>>,
    /// Somebody has; and is to look again for what there is to do.
    pub(crate) in_hand: bool,
    pub(crate) again: bool,
    /// The connection takes nothing more: its end will be told.
    pub(crate) over: bool,
    pub(crate) out: Option<Box<Outgoing>>,
    /// What is to be said when there is room.
    pub(crate) controls: VecDeque<Control>,
    /// Since the last beat.
    pub(crate) heard: bool,
    pub(crate) spoke: bool,
    /// Beats without a sign of life of the peer, and how many may be.
    pub(crate) silent: u32,
    pub(crate) most_silent: u32,
    /// What a subscription asks for.
    pub(crate) asking: Asking,
    /// What a subscriber has asked for.
    pub(crate) granted: Vec<Tags>,
    /// Messages that a slow subscriber was not sent, while it is one.
    pub(crate) dropped: Option<u64>,
}

impl State {
    /// Of a socket with that role; connected from here to `dial`, or accepted.
    pub(crate) fn new(
        role: Role,
        dial: Option<SocketAddr>,
        publisher: usize,
        settings: &Settings,
    ) -> Box<Self> {
        let subscriptions = usize::from(settings.subscriptions.0);
        let of = |wanted: Role| if role == wanted { subscriptions } else { 0 };
        Box::new(Self {
            role,
            dial,
            attempts: 0,
            publisher,
            phase: if dial.is_some() { Phase::Idle } else { Phase::Greeting },
            link: None,
            in_hand: true,
            again: false,
            over: false,
            out: None,
            controls: VecDeque::with_capacity(UNANSWERED + 4),
            heard: true,
            spoke: false,
            silent: 0,
            most_silent: u32::MAX,
            asking: Asking::new(of(Role::Subscribes)),
            granted: Vec::with_capacity(of(Role::Subscriber)),
            dropped: None,
        })
    }

    /// Whether it was asked for from here.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.role, Role::Sends | Role::Subscribes)
    }

    /// What its connection is for.
    pub(crate) fn service(&self) -> Service {
        match self.role {
            Role::Sends | Role::Receives => Service::Messages,
            Role::Subscribes | Role::Subscriber => Service::Publication,
        }
    }

    /// Takes in what the peer has said of itself.
    pub(crate) fn greeted(&mut self, peer: &Greeting, settings: &Settings) {
        self.phase = Phase::Up;
        self.attempts = 0;
        if let Some(out) = &mut self.out {
            out.limit = out.limit.min(peer.page as usize);
        }
        let own = settings.beat.as_millis() as u64;
        let limit = (4 * u64::from(peer.beat)).div_ceil(own) + 1;
        self.most_silent = if peer.beat == 0 { u32::MAX } else { limit.min(1 << 31) as u32 };
    }

    /// Says some of what is to be said. True if there is more for which there is room.
    pub(crate) fn speak(&mut self, settings: &Settings) -> bool {
        let service = self.service();
        let Some(out) = &mut self.out else { return false };
        let greeting = || {
            let beat = settings.beat.as_millis() as u32;
            Greeting { version: VERSION, service: Ok(service), page: settings.page, beat }.emit()
        };
        for said in 0..SAID_AT_ONCE {
            let Some(control) = self.controls.front() else {
                if said > 0 {
                    out.flush();
                }
                return false;
            };
            let (kind, tag, payload) = match *control {
                Control::Hello => (Kind::Hello, MAGIC, &greeting()[..]),
                Control::Welcome => (Kind::Welcome, MAGIC, &greeting()[..]),
                Control::Refused(why) => (Kind::Refused, why, &[][..]),
                Control::About(kind, tags) => (kind, tags.value(), &tags.mask().to_le_bytes()[..]),
                Control::Beat => (Kind::Beat, 0, &[][..]),
            };
            let Ok(mut page) = out.begin(payload.len()) else {
                out.flush();
                return false;
            };
            page.append(kind, tag, payload);
            out.finish(page, false);
            self.controls.pop_front();
        }
        out.flush();
        !self.controls.is_empty()
    }

    /// The connection is over. What is left of it: nothing of it is to be dropped in a section.
    pub(crate) fn reset(&mut self) -> (Option<Box<dyn Link>>, Option<Box<Outgoing>>) {
        self.phase = Phase::Idle;
        (self.in_hand, self.again, self.over) = (true, false, false);
        self.controls.clear();
        (self.heard, self.spoke, self.silent, self.most_silent) = (true, false, 0, u32::MAX);
        self.asking.reset();
        self.dropped = None;
        (self.link.take(), self.out.take())
    }
}

/// What a REFUSED says.
pub(crate) fn refusal(tag: u64) -> crate::event::Refusal {
    match tag {
        reason::VERSION => crate::event::Refusal::Version,
        reason::SERVICE => crate::event::Refusal::Kind,
        _ => crate::event::Refusal::Refused,
    }
}
