//! Making a used socket like new.
//!
//! smoltcp's `listen` and `connect` reset a closed socket, all but: the options, which are set here; the
//! numbers used for counting duplicate acknowledgements and for SACK, which the first segments of the next
//! connection overwrite before they are read; the mark of a fast retransmission under way, which only
//! sending data clears; and the congestion window. The mark can stay set when nothing but a FIN was retransmitted, and
//! the window be small when something was lost: such a socket is marked, and is played a short connection
//! with packets that go nowhere, after which the window is an initial one (`tcp/window.rs`).

use crate::ip::endpoint::Endpoint;
use crate::ip::header;
use crate::ip::interface::Engine;
use crate::ip::tcp::bare::{Bare, HEADERS};
use crate::ip::tcp::window::LARGEST;
use crate::ip::time::smoltcp_duration;
use crate::types::settings::{ACK_DELAY, HANDSHAKE, TcpSettings};
use smoltcp::socket::tcp::CongestionControl;
use smoltcp::time::Instant as Time;

/// The port of the connection that is played; any will do.
const PORT: u16 = 1;
/// The peer that is played: an address for documentation (RFC 5737).
const PEER: [u8; 4] = [192, 0, 2, 1];

impl Engine {
    /// Readies the socket for `listen` or `connect`.
    pub(crate) fn recycle(&mut self, endpoint: &mut Endpoint, settings: &TcpSettings, now: Time) {
        // What is played is in the socket's own numbers.
        endpoint.lead.forget();
        if endpoint.needs_reset || endpoint.is_worn() {
            self.play_short_connection(endpoint, now);
            (endpoint.needs_reset, endpoint.worn) = (false, false);
        }
        endpoint.forget();
        let socket = endpoint.socket();
        // From whatever state; `listen` and `connect` reset a closed socket only.
        socket.abort();
        socket.set_timeout(Some(smoltcp_duration(HANDSHAKE)));
        let keep_alive = settings.question_interval().map(smoltcp_duration);
        socket.set_keep_alive(keep_alive);
        socket.set_ack_delay(Some(smoltcp_duration(ACK_DELAY)));
        socket.set_hop_limit(None);
        // What one handler sends leaves in one run anyway; waiting for more would only delay
        // the end of an answer.
        socket.set_nagle_enabled(false);
        (endpoint.keep_alive, endpoint.insists) = (keep_alive, settings.insists());
    }

    fn play_short_connection(&mut self, endpoint: &mut Endpoint, now: Time) {
        let Some(own) = self.address else { return };
        let own = own.address.octets();
        let socket = endpoint.socket();
        socket.abort();
        socket.set_congestion_control(CongestionControl::Reno);
        if socket.listen(PORT).is_err() {
            return;
        }
        self.inject(endpoint, &opening(own), now);
        // The answer's sequence number, behind 20 bytes of IPv4 and 4 of ports.
        let sequence = header::word(self.inject(endpoint, &[], now), 24);
        let completion = segment(own, header::ACK, 1, sequence.wrapping_add(1));
        self.inject(endpoint, &completion, now);
        // One byte clears the mark, its acknowledgement makes the window as large as a segment; the reset clears
        // the peer.
        let _ = endpoint.socket().send_slice(&[0]);
        self.inject(endpoint, &[], now);
        let byte = segment(own, header::ACK, 1, sequence.wrapping_add(2));
        self.inject(endpoint, &byte, now);
        endpoint.socket().abort();
        self.inject(endpoint, &[], now);
    }
}

/// A segment of the played peer, as an IPv4 packet.
fn segment(own: [u8; 4], flags: u8, sequence: u32, acknowledgement: u32) -> [u8; HEADERS] {
    let (source, destination) = ((PEER, PORT), (own, PORT));
    Bare { source, destination, flags, sequence, acknowledgement, window: 0x1000 }.packet()
}

/// A SYN of the played peer, which takes segments as long as an initial window.
fn opening(own: [u8; 4]) -> [u8; HEADERS + 4] {
    let mut packet = [0; HEADERS + 4];
    packet[..HEADERS].copy_from_slice(&segment(own, header::SYN, 0, 0));
    // The packet's length, the data offset, and the option: MSS.
    (packet[3], packet[32]) = (packet.len() as u8, 0x60);
    let [high, low] = LARGEST.to_be_bytes();
    packet[HEADERS..].copy_from_slice(&[2, 4, high, low]);
    packet
}

#[cfg(test)]
mod tests;
