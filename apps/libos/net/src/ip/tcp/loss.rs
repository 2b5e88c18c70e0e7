//! Loss recovery, where smoltcp waits for its time-out of a second or more.
//!
//! smoltcp sends one segment again upon three acknowledgements that say the same with no other segment between
//! them, and everything from there on upon its time-out. Three things are done beside that:
//!
//! - What the peer acknowledges selectively (RFC 2018) tells of a loss as well, also beside text of its own
//!   (RFC 6675, 4 and 5).
//! - Until all is acknowledged that was sent when the loss was noticed, an acknowledgement of a part of it means
//!   that the next segment was lost, too (RFC 6582, 3.2).
//! - The round trip is measured (RFC 6298, 2), and what is not acknowledged within that
//!   and a margin is sent again: after two round trips where more than one segment is under way (RFC 8985, 7): the
//!   acknowledgement is not delayed then; and after twice as long each time. smoltcp's own time-out, of a second at least,
//!   may come between.
//!
//! smoltcp is brought to it by acknowledgements that are played to it (`play`): the third repetition of one.

use crate::ip::endpoint::Endpoint;
use crate::ip::interface::Engine;
use crate::ip::segment::Segment;
use crate::ip::tcp::play::Moment;
use crate::ip::tcp::recovery::{LONGEST, REPETITIONS, ahead};
use crate::ip::tcp::window::option;
use crate::ip::time::time;
use reflex_event::Instant;
use smoltcp::socket::tcp::State;

/// The kind of the option of selective acknowledgements (RFC 2018, 3).
const SACK: u8 = 5;

/// What the peer has acknowledged selectively, of what is under way between `acknowledged` and `sent`.
fn selected(options: &[u8], acknowledged: u32, sent: u32) -> impl Iterator<Item = (u32, u32)> {
    let blocks = option(options, SACK).unwrap_or_default().chunks_exact(8);
    let blocks = blocks.map(|block| {
        let edge = |at: usize| {
            u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        (edge(0), edge(4))
    });
    // One in front of these was received twice (RFC 2883).
    blocks.filter(move |(from, to)| {
        ahead(*from, acknowledged) > 0 && ahead(*to, *from) > 0 && ahead(sent, *to) >= 0
    })
}

impl Engine {
    /// Sees to what an acceptable segment, which the socket has heard, says of segments that were lost. Before, so much
    /// was `acknowledged`, and the peer's `window` was this.
    pub(crate) fn look_for_loss(
        &mut self,
        segment: &Segment<'_>,
        (acknowledged, window): (u32, u16),
        endpoint: &mut Endpoint,
        moment: Moment,
    ) {
        let progress = endpoint.acknowledged != acknowledged;
        let repeated = !progress
            && segment.length() == 0
            && segment.acknowledgement == acknowledged
            && segment.window == window;
        let sent = endpoint.recovery.sent.unwrap_or(acknowledged);
        let recovery = &mut endpoint.recovery;
        let mut behind = 0u32;
        for (from, to) in selected(segment.options(), endpoint.acknowledged, sent) {
            behind = behind.saturating_add(to.wrapping_sub(from));
            recovery.note_selected(from, to, moment.1);
        }
        if recovery.hear(endpoint.acknowledged, progress, repeated, behind) {
            self.send_again(endpoint, moment);
        }
    }

    /// The connection's timer has gone off: sends again what has been under way for too long.
    #[cold]
    pub(crate) fn time_out(&mut self, endpoint: &mut Endpoint, hop: Option<[u8; 6]>, now: Instant) {
        let acknowledged = endpoint.acknowledged;
        if endpoint.recovery.due(acknowledged, now).is_none_or(|due| due > now) {
            return;
        }
        endpoint.recovery.time_out(acknowledged, now);
        match hop {
            // smoltcp repeats text alone upon acknowledgements.
            Some(hop) if endpoint.waits_for_fin() => self.repeat(endpoint, hop, time(now)),
            _ => self.send_again(endpoint, (None, time(now))),
        }
    }

    /// Has the socket send the first segment again that is under way. A window that changes and changes back has it
    /// count repetitions anew.
    fn send_again(&mut self, endpoint: &mut Endpoint, (_, now): Moment) {
        let window = endpoint.window;
        if !endpoint.has_room_for_repetition() {
            return;
        }
        // No sign of what the way carries.
        self.sent_long = true;
        endpoint.window = if window == u16::MAX { window - 1 } else { window + 1 };
        self.hear_again(endpoint, now);
        endpoint.window = window;
        for _ in 0..=REPETITIONS {
            self.hear_again(endpoint, now);
        }
    }
}

impl Endpoint {
    /// When this connection's oldest bytes under way are to be sent again, if smoltcp does not do it before.
    pub(crate) fn recovery_due(&mut self, now: Instant) -> Option<Instant> {
        let acknowledged = self.acknowledged;
        let due = self.recovery.due(acknowledged, now);
        due.filter(|_| self.waits_for_fin() || self.has_room_for_repetition())
    }

    /// Whether nothing is under way but our FIN.
    fn waits_for_fin(&mut self) -> bool {
        let socket = self.socket();
        let closed = matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck);
        closed && socket.send_queue() == 0
    }

    /// Whether there is something to be sent again, and the peer has room for it: smoltcp does not look at the window
    /// then, and fills the segment with what comes behind.
    fn has_room_for_repetition(&mut self) -> bool {
        let window = usize::from(self.window) << self.lead.scale;
        let queued = self.socket().send_queue();
        queued > 0 && queued.min(LONGEST) <= window
    }
}
