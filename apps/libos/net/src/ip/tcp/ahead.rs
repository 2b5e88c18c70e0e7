//! Ahead of the socket: an undisturbed connection exchanges a request and its answer without smoltcp.
//!
//! The next segment in order is heard, and the answer to it is sent, from what is kept of the connection (header prediction:
//! Jacobson, "4BSD TCP header prediction", 1990). The socket hears of neither. It stays where it was, with nothing
//! unread and nothing unacknowledged, and the numbers that went by it are added to those of its segments
//! from then on, and taken from those that it hears (`gone`).
//!
//! ```text
//!                      segment of one with nothing to tell its socket of
//!   level ──────────────────────────────────────────────────────────────────▶ ahead ◀─┐
//!     ▲                                                                         │ │   │ next segment, answer;
//!     │  anything else: a segment that is not the next, more to send than one,  │ └───┘ the timer, soon after one
//!     └─ a request of the application's, the timer (`catch_up`) ────────┘
//! ```
//!
//! | of what is under way | while ahead | when the socket catches up |
//! | --- | --- | --- |
//! | text that is not read | in its frame | is played to it, as if it came then |
//! | bytes sent and not acknowledged | in the free part of its buffer | are queued, and sent to nowhere: it times them |
//! | bytes queued behind them | there | are queued |
//! | the peer's window, that the peer was heard | kept | are played to it |
//! | an acknowledgement that is owed | the timer sees to it | is sent |
//!
//! What TCP times is left to the socket: nobody is ahead but while the connection's timer goes off no later than the
//! delay of an acknowledgement allows.

use crate::ip::device::{emit_ethernet, finish};
use crate::ip::endpoint::Endpoint;
use crate::ip::header::{self, ETHERNET};
use crate::ip::interface::Engine;
use crate::ip::path_mtu::SMALL;
use crate::ip::segment::Segment;
use crate::ip::tcp::bare::{Bare, HEADERS};
use crate::ip::tcp::lead::{Lead, Text};
use crate::ip::tcp::limits::Doubt;
use crate::ip::tcp::play::{Moment, party};
use reflex_hil::Frame;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant as Time;

/// Segments that are left to a socket when it had to catch up at once.
const SHY: u8 = 15;

/// A segment that was heard in the place of the socket.
#[derive(Clone, Copy)]
pub(crate) enum Hearing {
    Acknowledgement,
    /// It has text, here in its frame.
    Text {
        from: usize,
        to: usize,
    },
}

impl Endpoint {
    /// The socket has sent a segment with this acknowledgement and window.
    #[inline]
    pub(crate) fn note_offer(&mut self, (acknowledgement, window): (u32, u16)) {
        let all = usize::from(window) == self.receive_capacity;
        self.lead.open = all && acknowledgement == self.expected;
    }

    /// Whether the timer has gone off for nothing: something has been exchanged meanwhile, and nothing is owed.
    #[inline]
    pub(crate) fn goes_on_ahead(&mut self) -> bool {
        self.lead.ahead && core::mem::take(&mut self.lead.stirred) && !self.owes
    }

    /// Whether the socket has nothing unread or out of order, so many bytes unacknowledged, and all of its buffer
    /// is offered.
    #[inline]
    fn is_level(&mut self, unacknowledged: usize) -> bool {
        let Lead { open, early, .. } = self.lead;
        let socket = self.socket();
        open && early.is_none()
            && socket.state() == State::Established
            && socket.send_queue() == unacknowledged
            && socket.recv_queue() == 0
    }

    /// Whether the connection could be ahead of the socket but for what a segment acknowledges.
    #[inline]
    fn is_nearly_level(&mut self, segment: &Segment<'_>) -> bool {
        let acknowledged = segment.acknowledgement.wrapping_sub(self.acknowledged) as usize;
        let next = !self.lead.ahead
            && segment.flags == header::ACK
            && segment.sequence == self.expected
            && acknowledged > 0
            && segment.packet.len() > segment.headers
            && !self.owes
            && self.is_level(acknowledged);
        if next && self.lead.shy > 0 {
            self.lead.shy -= 1;
            return false;
        }
        next
    }

    /// Hears a segment in the place of the socket, if it is the next in order, acknowledges all that was sent, and
    /// nothing is left of the one before. `None` when the socket is to hear it.
    #[inline]
    pub(crate) fn hear_ahead(&mut self, segment: &Segment<'_>) -> Option<Hearing> {
        let length = segment.packet.len() - segment.headers;
        let acknowledged = segment.acknowledgement.wrapping_sub(self.acknowledged) as usize;
        let next = segment.flags == header::ACK
            && segment.sequence == self.expected
            && acknowledged == self.lead.flying
            && (length > 0 || acknowledged > 0)
            && self.lead.queued == 0
            && self.lead.text.is_none()
            && !self.owes
            && self.doubt == Doubt::None
            && (self.lead.ahead || self.is_level(0))
            && length <= self.receive_capacity;
        if !next {
            return None;
        }
        self.window = segment.window;
        self.acknowledged = segment.acknowledgement;
        self.lead.gone.sent = self.lead.gone.sent.wrapping_add(acknowledged as u32);
        self.lead.flying = 0;
        (self.lead.ahead, self.lead.stirred) = (true, true);
        if length == 0 {
            return Some(Hearing::Acknowledgement);
        }
        self.expected = self.expected.wrapping_add(length as u32);
        self.lead.gone.received = self.lead.gone.received.wrapping_add(length as u32);
        self.owes = true;
        Some(Hearing::Text {
            from: ETHERNET + segment.headers,
            to: ETHERNET + segment.packet.len(),
        })
    }

    /// Keeps the frame with the text that was heard.
    #[inline]
    pub(crate) fn hold(&mut self, frame: Frame, hearing: Hearing) {
        if let Hearing::Text { from, to } = hearing {
            self.lead.text = Some(Text { frame, from, to });
        }
    }
}

impl Engine {
    /// Hears a segment in the place of the socket: see [`Endpoint::hear_ahead`].
    #[inline]
    pub(crate) fn hear_ahead(
        &mut self,
        segment: &Segment<'_>,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) -> Option<Hearing> {
        if endpoint.is_nearly_level(segment) {
            self.hear_acknowledgement(segment, endpoint, moment);
        }
        endpoint.hear_ahead(segment)
    }

    /// Sends what is queued in a segment, if one is enough and the peer takes it. False when the socket is to.
    #[inline]
    pub(crate) fn answer_ahead(
        &mut self,
        endpoint: &mut Endpoint,
        hop: Option<[u8; 6]>,
        now: Time,
    ) -> bool {
        let Lead { flying, queued, mss, scale, .. } = endpoint.lead;
        let room = usize::from(endpoint.window) << scale;
        let Some(most) = self.longest_text() else { return false };
        let Some(hop) = hop else { return false };
        if flying > 0 || queued > most.min(mss.into()).min(room) || self.room == 0 {
            return false;
        }
        let (unread, capacity) = (endpoint.unread(), endpoint.receive_capacity);
        let (sequence, acknowledgement) = (endpoint.acknowledged, endpoint.expected);
        let socket = endpoint.socket();
        let (Some(own), Some(peer)) = (socket.local_endpoint(), socket.remote_endpoint()) else {
            return false;
        };
        let bare = Bare {
            source: party(own),
            destination: party(peer),
            flags: header::ACK | header::PSH,
            sequence,
            acknowledgement,
            // Buffers that are offered in smaller units never are ahead.
            window: (capacity - unread) as u16,
        };
        let length = HEADERS + queued;
        let sender = self.mac;
        let sent = self.send(length, &mut |frame| {
            let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else {
                return;
            };
            emit_ethernet(ethernet, &hop, &sender);
            packet[..HEADERS].copy_from_slice(&bare.packet_before(queued as u16));
            let copy = |free: &mut [u8]| {
                packet[HEADERS..].copy_from_slice(&free[..queued]);
                (0, ())
            };
            // It may send, as it is established.
            let _ = socket.send(copy);
            finish(packet);
        });
        if sent {
            if length > usize::from(SMALL) {
                endpoint.repeats.sent(sequence);
            }
            endpoint.owes = false;
            let lead = &mut endpoint.lead;
            (lead.flying, lead.queued, lead.sent_at) = (queued, 0, now);
            (lead.unheard, lead.stirred, lead.paid) = (false, true, true);
        }
        sent
    }

    /// Tells the socket of what went by it.
    #[inline]
    pub(crate) fn catch_up(&mut self, endpoint: &mut Endpoint, moment: Moment) {
        if endpoint.lead.ahead {
            self.tell_all(endpoint, moment);
        }
    }

    #[cold]
    fn tell_all(&mut self, endpoint: &mut Endpoint, (hop, now): Moment) {
        let Lead { flying, queued, sent_at, .. } = endpoint.lead;
        endpoint.lead.ahead = false;
        if !core::mem::take(&mut endpoint.lead.paid) {
            endpoint.lead.shy = SHY;
        }
        (endpoint.lead.flying, endpoint.lead.queued) = (0, 0);
        // It was acknowledged at a time that nobody looked at.
        endpoint.recovery.measure_nothing();
        endpoint.recovery.sent = Some(endpoint.acknowledged);
        match endpoint.lead.text.take() {
            Some(text) => {
                let bytes = text.bytes().unwrap_or_default();
                let gone = &mut endpoint.lead.gone;
                gone.received = gone.received.wrapping_sub(bytes.len() as u32);
                self.play_text(endpoint, bytes, (hop, now));
            }
            None => {
                endpoint.lead.unheard = endpoint.owes;
                self.hear_again(endpoint, now);
            }
        }
        if flying > 0 {
            let end = endpoint.acknowledged.wrapping_add(flying as u32);
            endpoint.recovery.note_sent(end, sent_at);
            // They are there already.
            let _ = endpoint.socket().send(|free| (flying.min(free.len()), ()));
            let (acknowledgement, window) = header::offer(self.inject(endpoint, &[], sent_at));
            let acknowledgement = acknowledgement.wrapping_add(endpoint.lead.gone.received);
            endpoint.note_offer((acknowledgement, window));
        }
        if queued > 0 {
            let _ = endpoint.socket().send(|free| (queued.min(free.len()), ()));
            endpoint.queued = true;
        }
    }
}
