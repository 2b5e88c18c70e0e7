//! The states of a queue pair, and which lead where by request (IBA volume 1, 10.3).
//!
//! ```text
//!              modify        modify        modify           modify
//!    RESET ------------> INIT -----> RTR ----------> RTS <---------> SQD
//!      ^                 receives    receives,       all   modify     begins no more
//!      | modify,         are posted  answers          |               messages; ends
//!      | from any                                     | transmit:     those it began
//!      |                                              | a local fault
//!      |                                              v
//!      |                                SQE (UC, UD): sends are flushed, receives go on
//!      |                                  `--- modify ---> RTS
//!      |
//!     ERR: all is flushed  <---- from any: modify; from RTR, RTS, SQD: receive (refused by the
//!                                peer, or its request refused), expire (retries are used up),
//!                                transmit (RC: a local fault)
//! ```

use crate::attribute::Mask;
use reflex_rdma_wire::Transport;

/// Where a queue pair stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// Nothing may be posted.
    Reset,
    /// Receives may be posted.
    Init,
    /// Ready to receive.
    Rtr,
    /// Ready to send.
    Rts,
    /// The send queue drains: messages that have begun end, no other begins.
    Sqd,
    /// The send queue failed; the receive queue has not (UC, UD).
    Sqe,
    /// Everything is flushed.
    Err,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Reset, Self::Init, Self::Rtr, Self::Rts, Self::Sqd, Self::Sqe, Self::Err];

    /// Whether requests of the peer are taken.
    #[inline]
    pub(crate) const fn receives(self) -> bool {
        matches!(self, Self::Rtr | Self::Rts | Self::Sqd | Self::Sqe)
    }

    /// Whether requests are sent, and their answers taken.
    #[inline]
    pub(crate) const fn sends(self) -> bool {
        matches!(self, Self::Rts | Self::Sqd)
    }
}

/// A transition that can be asked for, with the attributes it needs and those it takes.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// For queue pairs of this transport.
    pub transport: Transport,
    /// From here
    pub from: State,
    /// to there.
    pub to: State,
    /// These have to be given.
    pub required: Mask,
    /// These may be given.
    pub optional: Mask,
}

impl Transition {
    /// The one from there to there; `None` when there is none.
    pub fn find(transport: Transport, from: State, to: State) -> Option<Self> {
        if matches!(to, State::Reset | State::Err) {
            let none = Mask::NONE;
            return Some(Self { transport, from, to, required: none, optional: none });
        }
        let entry = TABLE.iter().find(|entry| (entry.0, entry.1) == (from, to))?;
        let (required, optional) = match transport {
            Transport::Reliable => entry.2?,
            Transport::Unreliable => entry.3?,
            Transport::Datagram => entry.4?,
        };
        Some(Self { transport, from, to, required, optional })
    }
}

type Rule = Option<(Mask, Mask)>;

/// From, to, and what is needed and taken by RC, UC and UD.
const TABLE: &[(State, State, Rule, Rule, Rule)] = {
    use State::{Init, Reset, Rtr, Rts, Sqd, Sqe};
    const NONE: Mask = Mask::NONE;
    const SETTINGS: Mask = Mask::PARTITION.and(Mask::ACCESS);
    const KEYS: Mask = Mask::PARTITION.and(Mask::KEY);
    const PATH: Mask = Mask::PATH.and(Mask::MTU).and(Mask::DESTINATION).and(Mask::RECEIVE_PSN);
    const ANSWERS: Mask = Mask::MAX_READS_IN.and(Mask::RNR_TIMER);
    const TRIES: Mask = Mask::TIMEOUT.and(Mask::RETRIES).and(Mask::RNR_RETRIES);
    const REQUESTS: Mask = TRIES.and(Mask::SEND_PSN).and(Mask::MAX_READS_OUT);
    const LIVE: Mask = Mask::ACCESS.and(Mask::RNR_TIMER);
    const IDLE: Mask = SETTINGS.and(Mask::PATH).and(TRIES).and(Mask::RNR_TIMER);
    &[
        (Reset, Init, Some((SETTINGS, NONE)), Some((SETTINGS, NONE)), Some((KEYS, NONE))),
        (Init, Init, Some((NONE, SETTINGS)), Some((NONE, SETTINGS)), Some((NONE, KEYS))),
        (
            Init,
            Rtr,
            Some((PATH.and(ANSWERS), SETTINGS)),
            Some((PATH, SETTINGS)),
            Some((NONE, KEYS)),
        ),
        (
            Rtr,
            Rts,
            Some((REQUESTS, LIVE)),
            Some((Mask::SEND_PSN, Mask::ACCESS)),
            Some((Mask::SEND_PSN, Mask::KEY)),
        ),
        (Rts, Rts, Some((NONE, LIVE)), Some((NONE, Mask::ACCESS)), Some((NONE, Mask::KEY))),
        (Rts, Sqd, Some((NONE, NONE)), Some((NONE, NONE)), Some((NONE, NONE))),
        (
            Sqd,
            Sqd,
            Some((NONE, IDLE.and(Mask::MAX_READS_OUT))),
            Some((NONE, SETTINGS.and(Mask::PATH))),
            Some((NONE, KEYS)),
        ),
        (Sqd, Rts, Some((NONE, LIVE)), Some((NONE, Mask::ACCESS)), Some((NONE, Mask::KEY))),
        (Sqe, Rts, None, Some((NONE, Mask::ACCESS)), Some((NONE, Mask::KEY))),
    ]
};
