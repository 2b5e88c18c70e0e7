//! Loss recovery, where smoltcp waits for its time-out of a second or more.
//!
//! smoltcp sends one segment again upon three acknowledgements that say the same with no other segment between
//! them, and everything from there on upon its time-out. Three things are done beside that:
//!
//! - What the peer acknowledges selectively (RFC 2018) tells of a loss as well, also beside text of its own
//!   (RFC 6675, 4 and 5).
//! - Until all is acknowledged that was sent when the loss was noticed, an acknowledgement of a part of it means
//!   that the next segment was lost, too (RFC 6582, 3.2).
//! - The round trip is measured (RFC 6298, 2), and what is not acknowledged within that and a margin is sent
//!   again, a few times. smoltcp's own time-out takes over then.
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

/// The kind of the option of selective acknowledgements (RFC 2018, 3).
const SACK: u8 = 5;

/// Bytes that the peer has acknowledged selectively, of what is under way between `acknowledged` and `sent`.
fn selectively(options: &[u8], acknowledged: u32, sent: u32) -> u32 {
    let blocks = option(options, SACK).unwrap_or_default().chunks_exact(8);
    let blocks = blocks.map(|block| {
        let edge = |at: usize| {
            u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        (edge(0), edge(4))
    });
    // One in front of these was received twice (RFC 2883).
    let own = blocks.filter(|(from, to)| {
        ahead(*from, acknowledged) > 0 && ahead(*to, *from) > 0 && ahead(sent, *to) >= 0
    });
    own.map(|(from, to)| to.wrapping_sub(from)).fold(0, u32::saturating_add)
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
        let behind = selectively(segment.options(), endpoint.acknowledged, sent);
        let recovery = &mut endpoint.recovery;
        if recovery.hear(endpoint.acknowledged, progress, repeated, behind) {
            self.send_again(endpoint, moment);
        }
    }

    /// The connection's timer has gone off: sends again what has been under way for too long.
    #[cold]
    pub(crate) fn time_out(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let acknowledged = endpoint.acknowledged;
        let due = endpoint.recovery.due(acknowledged, now);
        if due.is_some_and(|due| due <= now) {
            endpoint.recovery.time_out(acknowledged, now);
            self.send_again(endpoint, (None, time(now)));
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
        due.filter(|_| self.has_room_for_repetition())
    }

    /// Whether there is something to be sent again, and the peer has room for it: smoltcp does not look at the window
    /// then, and fills the segment with what comes behind.
    fn has_room_for_repetition(&mut self) -> bool {
        let window = usize::from(self.window) << self.lead.scale;
        let queued = self.socket().send_queue();
        queued > 0 && queued.min(LONGEST) <= window
    }
}
