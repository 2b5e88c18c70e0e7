//! Segments that are not the next in order: RFC 9293, 3.10.7.4, with the checks of RFC 5961, as far as smoltcp
//! has them otherwise or not at all.
//!
//! | the segment | what smoltcp does | what is done here |
//! | --- | --- | --- |
//! | a reset, exact | closes | the same |
//! | a reset elsewhere in the window | closes | a challenge (RFC 5961, 3.2); the peer is *doubted* |
//! | a SYN-ACK, when both have opened | nothing | opens the connection, and an ACK |
//! | the SYN of the handshake, again | nothing | our SYN-ACK, again |
//! | another SYN | nothing | a challenge (RFC 5961, 4.2) |
//! | an old acknowledgement alone, in LAST-ACK | a challenge | nothing |
//! | without an ACK, out of the window | nothing | a challenge |
//! | an acknowledgement of what was never sent | a challenge | the same |
//! | one older than any window | nothing | a challenge (RFC 5961, 5.2) |
//! | an old one, with new text | nothing: the text is lost | the text is heard, with the newest acknowledgement |
//! | old text, with a new acknowledgement | an ACK; the acknowledgement is lost | both are heard |
//! | text beyond the room there is | may be taken | the rest is cut |
//! | text behind a FIN | is delivered | is not heard |
//! | a FIN before its text | nothing | an ACK |
//! | text and a FIN | the FIN is heard, and what did not fit lost | the FIN is heard when all the text was |

use crate::ip::endpoint::Endpoint;
use crate::ip::header;
use crate::ip::interface::Engine;
use crate::ip::segment::{Heard, Segment};
use crate::ip::tcp::bare::{Bare, HEADERS};
use crate::ip::tcp::limits::Doubt;
use crate::ip::tcp::play::Moment;
use crate::ip::tcp::window;
use smoltcp::socket::tcp::State;

/// A segment as the socket is to hear it.
#[derive(Clone, Copy)]
struct Part {
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    /// Of the segment's text: from where on, and how much.
    from: usize,
    length: usize,
}

impl Engine {
    /// Hears a segment that is not the next in order. True when it was a reset that reached the socket.
    #[cold]
    pub(crate) fn judge(
        &mut self,
        segment: &Segment<'_>,
        before: Heard,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) -> bool {
        if matches!(before.state, State::Closed | State::Listen | State::SynSent) {
            if segment.has(header::SYN) {
                endpoint.fit_window(segment.options());
            }
            if before.state == State::Listen {
                let Bare { source: peer, destination: own, .. } = segment.bare();
                let number = self.secret.initial([own, peer], moment.1);
                self.choose_sequence(endpoint, number, moment.1);
            }
            self.hear_as_it_is(segment, before, endpoint, moment);
            return segment.has(header::RST);
        }
        if segment.has(header::RST) {
            return self.reset(segment, before, endpoint, moment);
        }
        if segment.has(header::SYN) {
            if before.state != State::SynReceived || segment.sequence != endpoint.first() {
                self.challenge(endpoint, moment);
            } else if segment.has(header::ACK) {
                self.hear_opening(segment, endpoint, moment);
            } else if let Some(hop) = moment.0 {
                // Our answer was lost, or is late: the peer need not wait for our timer.
                self.repeat(endpoint, hop, moment.1);
            }
        } else if !segment.has(header::ACK) {
            if !is_inside(segment, before, endpoint) {
                self.challenge(endpoint, moment);
            }
        } else if before.state == State::SynReceived {
            self.hear_text(segment, segment.acknowledgement, before, endpoint, moment);
        } else if let Some(acknowledgement) = acceptable(segment, before, endpoint) {
            endpoint.trust();
            // One that is repeated may be of a loss.
            endpoint.worn |= acknowledgement == endpoint.acknowledged && before.unacknowledged > 0;
            let heard = (endpoint.acknowledged, endpoint.window);
            if says_nothing_more(segment, acknowledgement, before, endpoint) {
                endpoint.note(segment, acknowledgement, before);
            } else {
                self.hear_text(segment, acknowledgement, before, endpoint, moment);
            }
            self.look_for_loss(segment, heard, endpoint, moment);
        } else {
            self.challenge(endpoint, moment);
        }
        false
    }

    /// Hears a SYN-ACK behind a SYN of the same number: both sides have opened (RFC 9293, 3.5, figure 8).
    fn hear_opening(&mut self, segment: &Segment<'_>, endpoint: &mut Endpoint, moment: Moment) {
        let acknowledgement = endpoint.acknowledged.wrapping_add(1);
        if segment.acknowledgement != acknowledgement {
            return self.challenge(endpoint, moment);
        }
        // smoltcp scales the window of whatever is no SYN, and that of a SYN is not (RFC 7323, 2.2).
        let scale = window::scale(segment.options());
        let segment = Segment { window: segment.window >> scale, ..*segment };
        let (sequence, flags) = (endpoint.expected, header::ACK);
        let part = Part { sequence, acknowledgement, flags, from: 0, length: 0 };
        self.hear(&segment, &part, endpoint, moment);
        self.acknowledge(endpoint, moment);
    }

    /// A reset ends the connection if it has exactly the number that is expected (RFC 5961, 3.2).
    fn reset(
        &mut self,
        segment: &Segment<'_>,
        before: Heard,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) -> bool {
        if segment.sequence == endpoint.expected {
            self.hear_as_it_is(segment, before, endpoint, moment);
            return true;
        }
        self.tally.resets_ignored += 1;
        if is_inside(segment, before, endpoint) {
            // A peer that has reset the connection answers the challenge with an exact reset.
            self.challenge(endpoint, moment);
            self.doubt(endpoint, Doubt::Reset, moment.1);
        }
        false
    }

    fn hear_as_it_is(
        &mut self,
        segment: &Segment<'_>,
        before: Heard,
        endpoint: &mut Endpoint,
        (hop, now): Moment,
    ) {
        self.deliver(segment.packet, endpoint, hop, now);
        endpoint.note(segment, segment.acknowledgement, before);
    }

    /// Hears what there is room for of an acceptable segment.
    fn hear_text(
        &mut self,
        segment: &Segment<'_>,
        acknowledgement: u32,
        before: Heard,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) {
        let text = segment.text().len();
        let ahead = segment.sequence.wrapping_sub(endpoint.expected) as i32;
        let room = if endpoint.fin_received { 0 } else { before.room };
        // Up to where, from its first byte on, the segment's text may be taken: negative for old text only.
        let limit = i64::from(ahead.saturating_neg()) + room as i64;
        let whole = Part {
            sequence: segment.sequence,
            acknowledgement,
            flags: segment.flags,
            from: 0,
            length: text,
        };
        let newer = acknowledgement != endpoint.acknowledged;
        if ahead < 0 && segment.length() as i64 <= i64::from(ahead.unsigned_abs()) {
            // All of it is old. What it acknowledges is heard first (RFC 9293, 3.10.7.4: an old segment without
            // its old bytes is an acceptable one): when both sides retransmit at the same time, with their
            // numbers set back, neither would hear the other otherwise. The segment itself is then answered,
            // in case our acknowledgement was lost.
            if newer && ahead.unsigned_abs() as usize <= endpoint.socket().recv_capacity() {
                self.hear_what_it_acknowledges(segment, &whole, endpoint, moment);
            }
            if text == 0 && segment.has(header::FIN) {
                // One that is repeated is always answered, as text is.
                self.acknowledge(endpoint, moment);
            } else {
                let acknowledgement = endpoint.acknowledged;
                self.hear(segment, &Part { acknowledgement, ..whole }, endpoint, moment);
            }
        } else if text > 0 && limit <= 0 {
            // There is room for nothing. Its acknowledgement counts (RFC 9293, 3.10.7.4), and is answered, unless
            // there can be no text any more.
            self.hear_what_it_acknowledges(segment, &whole, endpoint, moment);
            if !endpoint.fin_received {
                self.acknowledge(endpoint, moment);
            }
        } else if text as i64 > limit {
            let (flags, length) = (segment.flags & !header::FIN, limit.max(0) as usize);
            self.hear(segment, &Part { flags, length, ..whole }, endpoint, moment);
        } else if text > 0 && segment.has(header::FIN) {
            let end = segment.sequence.wrapping_add(text as u32);
            let flags = segment.flags & !header::FIN;
            self.hear(segment, &Part { flags, ..whole }, endpoint, moment);
            if endpoint.expected == end {
                let acknowledgement = endpoint.acknowledged;
                let fin = Part { sequence: end, acknowledgement, from: text, length: 0, ..whole };
                self.hear(segment, &fin, endpoint, moment);
            }
        } else {
            let early = ahead > 0 && (ahead as usize) < room;
            self.hear_whole(segment, &whole, early, endpoint, moment);
        }
    }

    /// Hears a whole segment. A FIN alone that comes too early is answered at once, as smoltcp does early text:
    /// something is missing.
    fn hear_whole(
        &mut self,
        segment: &Segment<'_>,
        whole: &Part,
        early: bool,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) {
        self.hear(segment, whole, endpoint, moment);
        if early && whole.length == 0 && segment.has(header::FIN) {
            self.acknowledge(endpoint, moment);
        }
    }

    /// Hears what a segment acknowledges, and its window, apart from its text.
    fn hear_what_it_acknowledges(
        &mut self,
        segment: &Segment<'_>,
        whole: &Part,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) {
        let (sequence, flags) = (endpoint.expected, header::ACK);
        self.hear(segment, &Part { sequence, flags, length: 0, ..*whole }, endpoint, moment);
    }

    /// The same of the next segment in order.
    pub(crate) fn hear_acknowledgement(
        &mut self,
        segment: &Segment<'_>,
        endpoint: &mut Endpoint,
        moment: Moment,
    ) {
        let Segment { sequence, acknowledgement, flags, .. } = *segment;
        let part = Part { sequence, acknowledgement, flags, from: 0, length: 0 };
        self.hear(segment, &part, endpoint, moment);
    }

    /// Has the socket hear a part of a segment: the segment itself, or a copy.
    fn hear(
        &mut self,
        segment: &Segment<'_>,
        part: &Part,
        endpoint: &mut Endpoint,
        (hop, now): Moment,
    ) {
        let before = Heard::of(endpoint);
        let unchanged = part.sequence == segment.sequence
            && part.acknowledgement == segment.acknowledgement
            && part.flags == segment.flags
            && part.length == segment.text().len();
        if unchanged {
            self.deliver(segment.packet, endpoint, hop, now);
        } else {
            let mut copy = core::mem::take(&mut self.copy);
            let length = part.write(segment, &mut copy);
            self.deliver(&copy[..length], endpoint, hop, now);
            self.copy = copy;
        }
        let heard = Segment { flags: part.flags, ..*segment };
        endpoint.note(&heard, part.acknowledgement, before);
        let end = part.sequence.wrapping_add(part.length as u32);
        endpoint.lead.heard(end, endpoint.expected);
    }
}

impl Part {
    /// Writes a packet with this part of `segment`: its length.
    fn write(&self, segment: &Segment<'_>, packet: &mut [u8]) -> usize {
        // A frame is no longer than what the interface carries, for which there is room.
        let length = self.length.min(packet.len() - HEADERS);
        let text = &segment.text()[self.from..][..length];
        let bare = Bare {
            flags: self.flags,
            sequence: self.sequence,
            acknowledgement: self.acknowledgement,
            ..segment.bare()
        };
        let length = HEADERS + text.len();
        packet[..HEADERS].copy_from_slice(&bare.packet_before(text.len() as u16));
        packet[HEADERS..length].copy_from_slice(text);
        length
    }
}

/// The acknowledgement that an acceptable segment counts with: its own, or the newest of all if it is an older
/// one, as that of a segment that was overtaken. `None` when nobody can have sent it (RFC 5961, 5.2).
fn acceptable(segment: &Segment<'_>, before: Heard, endpoint: &mut Endpoint) -> Option<u32> {
    let newest = endpoint.acknowledged;
    let fin = matches!(before.state, State::FinWait1 | State::Closing | State::LastAck);
    let more = segment.acknowledgement.wrapping_sub(newest) as usize;
    if more <= before.unacknowledged + usize::from(fin) {
        return Some(segment.acknowledgement);
    }
    // No more can have been under way at a time, whatever the window was.
    let most = endpoint.socket().send_capacity() + 1;
    let less = newest.wrapping_sub(segment.acknowledgement) as usize;
    (less <= most).then_some(newest)
}

/// Whether a segment only repeats what is known in LAST-ACK: no answer is due (RFC 9293, 3.10.7.4: "it can be ignored").
fn says_nothing_more(
    segment: &Segment<'_>,
    acknowledgement: u32,
    before: Heard,
    endpoint: &Endpoint,
) -> bool {
    before.state == State::LastAck
        && segment.length() == 0
        && segment.sequence == endpoint.expected
        && acknowledgement == endpoint.acknowledged
}

/// Whether a segment begins where there is room.
fn is_inside(segment: &Segment<'_>, before: Heard, endpoint: &Endpoint) -> bool {
    let ahead = segment.sequence.wrapping_sub(endpoint.expected) as usize;
    ahead < before.room.max(1)
}

impl Endpoint {
    /// The number of the peer's SYN, while nothing else has come.
    fn first(&self) -> u32 {
        self.expected.wrapping_sub(1)
    }

    /// Notes what has become of a segment.
    fn note(&mut self, segment: &Segment<'_>, acknowledgement: u32, before: Heard) {
        let after = self.socket().state();
        let synchronised = !matches!(before.state, State::Listen | State::SynSent);
        if !synchronised && matches!(after, State::SynReceived | State::Established) {
            self.expected = segment.sequence.wrapping_add(1);
        }
        self.note_text(before);
        let fin = synchronised && is_half_closed(after) && !is_half_closed(before.state);
        if fin && !self.fin_received {
            self.fin_received = true;
            self.expected = self.expected.wrapping_add(1);
        }
        if acknowledges_ours(before.state, after) {
            self.acknowledged = acknowledgement;
        }
        // That of a SYN is in other units. What is played with no window has the peer asked for it.
        self.window = if segment.has(header::SYN) { 0 } else { segment.window };
    }
}

/// Whether the peer has said that it sends no more.
fn is_half_closed(state: State) -> bool {
    matches!(state, State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
}

/// Whether our SYN or FIN was acknowledged in between.
fn acknowledges_ours(before: State, after: State) -> bool {
    match before {
        State::SynSent => after == State::Established,
        State::SynReceived => matches!(after, State::Established | State::CloseWait),
        State::FinWait1 => matches!(after, State::FinWait2 | State::TimeWait),
        State::Closing => after == State::TimeWait,
        State::LastAck => after == State::Closed,
        _ => false,
    }
}
