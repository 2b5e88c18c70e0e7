//! The states of a TCP connection (RFC 9293, 3.3.2), for applications that watch them.

use core::fmt;
use smoltcp::socket::tcp::State;

/// A state of a TCP connection. No connection ever goes back in the order in which they stand here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "RFC 9293 says what they are")]
pub enum TcpState {
    Listen,
    SynSent,
    SynReceived,
    Established,
    CloseWait,
    LastAck,
    FinWait1,
    FinWait2,
    Closing,
    TimeWait,
    Closed,
}

const ALL: [TcpState; 11] = {
    use TcpState::*;
    [
        Listen,
        SynSent,
        SynReceived,
        Established,
        CloseWait,
        LastAck,
        FinWait1,
        FinWait2,
        Closing,
        TimeWait,
        Closed,
    ]
};

impl From<State> for TcpState {
    #[inline]
    fn from(state: State) -> Self {
        match state {
            State::Listen => Self::Listen,
            State::SynSent => Self::SynSent,
            State::SynReceived => Self::SynReceived,
            State::Established => Self::Established,
            State::CloseWait => Self::CloseWait,
            State::LastAck => Self::LastAck,
            State::FinWait1 => Self::FinWait1,
            State::FinWait2 => Self::FinWait2,
            State::Closing => Self::Closing,
            State::TimeWait => Self::TimeWait,
            State::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::Closing => "CLOSING",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        })
    }
}

/// Some of the states. Those that a connection has gone through are taken out in the order in which
/// it has, since it never goes back: two bytes keep all its changes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TcpStates(u16);

impl TcpStates {
    /// Adds `state`.
    #[inline]
    pub fn insert(&mut self, state: TcpState) {
        self.0 |= 1 << state as u8;
    }

    /// Takes the earliest out.
    pub fn take_first(&mut self) -> Option<TcpState> {
        let first = *ALL.get(self.0.trailing_zeros() as usize)?;
        self.0 &= self.0 - 1;
        Some(first)
    }
}

/// The states of a connection that its application watches.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Watch {
    seen: TcpStates,
    pub(crate) untold: TcpStates,
}

impl Watch {
    /// The connection has been in these states. Whether there is one among them to be told of.
    pub(crate) fn note(&mut self, states: TcpStates) -> bool {
        let fresh = states.0 & !self.seen.0;
        self.seen.0 |= fresh;
        self.untold.0 |= fresh;
        fresh != 0
    }
}
