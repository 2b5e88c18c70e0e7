//! Openings that are answered without a socket, and what completes them.

use crate::ip::device::{emit_ethernet, finish};
use crate::ip::endpoint::Endpoint;
use crate::ip::header::{ACK, ETHERNET, SYN};
use crate::ip::interface::Engine;
use crate::ip::neighbour::Answer;
use crate::ip::segment::Segment;
use crate::ip::tcp::bare::{Bare, HEADERS};
use crate::ip::tcp::cookie::Remembered;
use crate::ip::time::time;
use reflex_event::Instant;
use reflex_hil::Frame;

/// Most bytes of options that are sent, or played: MSS, and that SACK is permitted.
const OPTIONS: usize = 8;

impl Engine {
    /// Answers an opening with a cookie, and with that window. False when it cannot be answered now: the peer
    /// will try again.
    pub(crate) fn answer_by_cookie(&mut self, frame: &Frame, window: u16, now: Instant) -> bool {
        let Some(segment) = self.checked(frame) else { return false };
        let Some(what) = Remembered::of(segment.options()) else { return false };
        let Bare { source: peer, destination: own, .. } = segment.bare();
        let Answer::Known(mac, _) = self.hop(u32::from_be_bytes(peer.0), now) else { return false };
        let answer = Bare {
            source: own,
            destination: peer,
            flags: SYN | ACK,
            sequence: self.secret.cookie([own, peer], segment.sequence, what, time(now)),
            acknowledgement: segment.sequence.wrapping_add(1),
            window,
        };
        let mss = (self.mtu as u16).saturating_sub(HEADERS as u16);
        let (packet, length) = opening(&answer, mss, what.sack);
        let own = self.mac;
        self.look_for_room()
            && self.send(length, &mut |frame| {
                let Some((ethernet, rest)) = frame.split_first_chunk_mut::<ETHERNET>() else {
                    return;
                };
                emit_ethernet(ethernet, &mac, &own);
                rest.copy_from_slice(&packet[..length]);
                finish(rest);
            })
    }

    /// What was remembered of the opening that a segment acknowledges the answer of.
    pub(crate) fn redeem(&mut self, frame: &Frame, now: Instant) -> Option<Remembered> {
        let segment = self.checked(frame)?;
        let Bare { source: peer, destination: own, .. } = segment.bare();
        let (sequence, cookie) = (before(segment.sequence), before(segment.acknowledgement));
        self.secret.redeem([own, peer], sequence, cookie, time(now))
    }

    /// Plays a listening socket the opening that `frame` completes, which was answered by a cookie.
    pub(crate) fn play_opening(
        &mut self,
        endpoint: &mut Endpoint,
        frame: &Frame,
        what: Remembered,
        now: Instant,
    ) {
        let Some(segment) = Segment::of(frame) else { return };
        let sequence = before(segment.sequence);
        let syn = Bare { flags: SYN, sequence, acknowledgement: 0, ..segment.bare() };
        let (packet, length) = opening(&syn, what.mss(), what.sack);
        endpoint.fit_window(&packet[HEADERS..length]);
        self.choose_sequence(endpoint, before(segment.acknowledgement), time(now));
        self.inject(endpoint, &packet[..length], time(now));
        self.inject(endpoint, &[], time(now));
        endpoint.expected = segment.sequence;
    }

    /// A segment with a right checksum.
    fn checked<'f>(&mut self, frame: &'f Frame) -> Option<Segment<'f>> {
        let segment = Segment::of(frame);
        self.tally.bad_checksum += u64::from(segment.is_none());
        segment
    }
}

fn before(number: u32) -> u32 {
    number.wrapping_sub(1)
}

/// A SYN with options, and its length.
fn opening(bare: &Bare, mss: u16, sack: bool) -> ([u8; HEADERS + OPTIONS], usize) {
    let mut packet = [0; HEADERS + OPTIONS];
    let options = if sack { 8 } else { 4 };
    packet[..HEADERS].copy_from_slice(&bare.packet_before(options));
    packet[32] = 0x50 + ((options as u8) << 2);
    let [high, low] = mss.to_be_bytes();
    packet[HEADERS..].copy_from_slice(&[2, 4, high, low, 1, 1, 4, 2]);
    (packet, HEADERS + usize::from(options))
}
