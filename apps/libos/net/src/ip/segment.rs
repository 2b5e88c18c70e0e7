//! A segment on its way to its socket: what smoltcp does not look at is looked at here.

use crate::ip::endpoint::Endpoint;
use crate::ip::header::{self};
use crate::ip::interface::Engine;
use reflex_hil::Frame;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant as Time;

impl Engine {
    /// A segment of the connection of `endpoint`: checked, then processed by its socket. True
    /// when it was a reset that reached the socket.
    #[inline]
    pub(crate) fn segment(
        &mut self,
        frame: &Frame,
        endpoint: &mut Endpoint,
        hop: Option<[u8; 6]>,
        now: Time,
    ) -> bool {
        let Some((packet, payload)) = header::packet(frame) else { return false };
        if payload.len() < 20 || !header::is_intact(packet, payload) {
            self.tally.bad_checksum += 1;
            return false;
        }
        let flags = payload[13];
        let sequence = header::word(payload, 4);
        let socket = endpoint.socket();
        let (before, queued) = (socket.state(), socket.recv_queue());
        // One more than the bytes, for the FIN.
        let most = socket.send_capacity() + 1;
        let reset = flags & header::RST != 0;
        let synchronised = !matches!(before, State::Listen | State::SynSent);
        if reset && synchronised && sequence != endpoint.expected {
            // RFC 5961, 3.2. The challenge that a peer in good faith would be sent is left to
            // our retransmission or keep-alive, which that peer resets again, rightly.
            self.tally.resets_ignored += 1;
            return false;
        }
        let acknowledgement = header::word(payload, 8);
        if flags & (header::ACK | header::SYN | header::RST) == header::ACK {
            let newer = is_newer(acknowledgement, endpoint.acknowledged, most);
            if newer && synchronised && is_old(payload, endpoint) {
                // smoltcp ignores what an old segment acknowledges. When both sides retransmit
                // at the same time, with their sequence numbers set back, neither would ever
                // hear the other. An old segment without its old bytes is an acceptable one
                // (RFC 9293, 3.10.7.4), so that is heard first; the segment itself, fed as it
                // is, is then answered, in case our acknowledgement was lost.
                let trimmed = trim(packet, payload, endpoint.expected);
                self.ingress(&trimmed, hop, Some(&mut endpoint.sockets), now);
            }
            if newer || !synchronised {
                endpoint.acknowledged = Some(acknowledgement);
            }
        }
        self.ingress(packet, hop, Some(&mut endpoint.sockets), now);
        let socket = endpoint.socket();
        let (after, arrived) = (socket.state(), socket.recv_queue().wrapping_sub(queued));
        if !synchronised {
            if matches!(after, State::SynReceived | State::Established) {
                endpoint.expected = sequence.wrapping_add(1);
            }
            return reset;
        }
        endpoint.expected = endpoint.expected.wrapping_add(arrived as u32);
        if !endpoint.fin_received && is_half_closed(after) && !is_half_closed(before) {
            endpoint.fin_received = true;
            endpoint.expected = endpoint.expected.wrapping_add(1);
        }
        reset
    }
}

/// Whether the peer has said that it sends no more.
fn is_half_closed(state: State) -> bool {
    matches!(state, State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
}

/// Whether an acknowledgement is of more than the ones before, and of no more than the `most` that can be under
/// way: numbers that somebody has made up are not noted.
#[inline]
fn is_newer(acknowledgement: u32, before: Option<u32>, most: usize) -> bool {
    before.is_none_or(|before| {
        let more = acknowledgement.wrapping_sub(before) as usize;
        more > 0 && more <= most
    })
}

/// Whether all that `segment` occupies was received before, and not long ago.
fn is_old(segment: &[u8], endpoint: &mut Endpoint) -> bool {
    let header = usize::from(segment[12] >> 4) * 4;
    let length = segment.len().saturating_sub(header) as u32;
    let length = length + u32::from(segment[13] & header::FIN);
    let behind = endpoint.expected.wrapping_sub(header::word(segment, 4));
    behind > 0 && length <= behind && behind as usize <= endpoint.socket().recv_capacity()
}

/// `packet` with neither bytes nor options, beginning at `sequence`.
fn trim(packet: &[u8], segment: &[u8], sequence: u32) -> [u8; 40] {
    let mut trimmed = [0; 40];
    trimmed[..20].copy_from_slice(&packet[..20]);
    trimmed[0] = 0x45;
    trimmed[2..4].copy_from_slice(&[0, 40]);
    trimmed[20..].copy_from_slice(&segment[..20]);
    trimmed[24..28].copy_from_slice(&sequence.to_be_bytes());
    trimmed[32] = 0x50;
    trimmed[33] = header::ACK;
    trimmed
}
