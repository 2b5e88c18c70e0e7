//! How long a connection may stay in a state that only the peer can end.
//!
//! smoltcp gives up when it has heard nothing from the peer for a time, which is set here by the state. A peer
//! that is heard may still bring nothing to an end: it acknowledges probes of a window that stays closed, or
//! repeats what it has said. So what the connection has *achieved* is looked at, too, whenever its timer goes
//! off: no state is left alone for longer than twice its limit.
//!
//! | state | without a word | without progress |
//! | --- | --- | --- |
//! | SYN-SENT, SYN-RECEIVED | 20 s, 10 s | |
//! | ESTABLISHED, CLOSE-WAIT, idle | `timeout`, or four `keep_alive`s, or 2 h, then 10 min with questions | |
//! | the same with bytes unacknowledged | 15 min, or `timeout` if that is shorter | 15 min |
//! | the same, idle, after a reset that was not exact | 15 s | |
//! | FIN-WAIT-1, CLOSING, LAST-ACK with bytes unacknowledged | 15 min, or `linger` if that is longer | the same |
//! | FIN-WAIT-1, FIN-WAIT-2, CLOSING, LAST-ACK | `linger` | `linger` |
//! | TIME-WAIT | 10 s | |

use crate::types::settings::{CONNECT, GIVE_UP, HANDSHAKE, TcpSettings};
use core::time::Duration;
use reflex_event::Instant;
use smoltcp::socket::tcp::State;

/// Whether the peer may have gone: it is asked often then, and given up soon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    None,
    /// It has been silent for as long as idle peers are left alone.
    Silent,
    /// A reset has come that is not exact, but may have been its.
    Reset,
}

impl Doubt {
    /// Between two questions.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(if self == Self::Reset { 2 } else { 75 })
    }

    /// How long the peer may give no answer.
    fn limit(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Silent => Some(8 * self.interval()),
            Self::Reset => Some(Duration::from_secs(15)),
        }
    }
}

/// What an owner allows its connections.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Patience {
    /// Without hearing from the peer.
    pub(crate) idle: Option<Duration>,
    /// When our side is closed.
    pub(crate) linger: Duration,
}

impl Patience {
    pub(crate) fn of(settings: &TcpSettings) -> Self {
        Self { idle: settings.longest_silence(), linger: settings.linger }
    }

    /// How long a connection in `state`, with bytes that are not acknowledged or without, goes on without
    /// hearing from the peer.
    #[inline]
    pub(crate) fn silence(&self, state: State, sending: bool, doubt: Doubt) -> Option<Duration> {
        match state {
            State::Closed | State::Listen | State::SynReceived => Some(HANDSHAKE),
            State::SynSent => Some(CONNECT),
            State::Established | State::CloseWait => match sending {
                true => Some(self.idle.map_or(GIVE_UP, |idle| idle.min(GIVE_UP))),
                false => doubt.limit().or(self.idle),
            },
            _ if sending => Some(self.linger.max(GIVE_UP)),
            _ => Some(self.linger),
        }
    }

    /// How long it goes on without getting on.
    fn standstill(&self, state: State, sending: bool) -> Option<Duration> {
        match state {
            State::Established | State::CloseWait if sending => Some(GIVE_UP),
            State::FinWait1 | State::Closing | State::LastAck if sending => {
                Some(self.linger.max(GIVE_UP))
            }
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => {
                Some(self.linger)
            }
            _ => None,
        }
    }
}

/// What a connection has achieved, and since when no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Standstill {
    state: State,
    /// SND.UNA, RCV.NXT, and bytes that the application has not read.
    place: (u32, u32, usize),
    since: Instant,
}

impl Standstill {
    /// Looks at a connection at `place`, and at what it was when it was looked at `before`: what there is to be
    /// remembered, unless its limit has been reached.
    ///
    /// # Errors
    /// It has stood still for too long.
    pub(crate) fn look(
        before: Option<Self>,
        patience: Patience,
        (state, sending): (State, bool),
        place: (u32, u32, usize),
        now: Instant,
    ) -> Result<Option<Self>, Overdue> {
        let Some(limit) = patience.standstill(state, sending) else { return Ok(None) };
        match before.filter(|before| (before.state, before.place) == (state, place)) {
            Some(before) if now >= before.since + limit => Err(Overdue),
            Some(before) => Ok(Some(before)),
            None => Ok(Some(Self { state, place, since: now })),
        }
    }
}

/// A connection has stood still for too long.
pub(crate) struct Overdue;
