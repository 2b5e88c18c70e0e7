//! Segments that are played to a socket: as if the peer had sent them, and saying nothing that the peer has
//! not said. They bring smoltcp to what it does by itself upon a segment only.

use crate::ip::endpoint::Endpoint;
use crate::ip::header::ACK;
use crate::ip::interface::Engine;
use crate::ip::tcp::bare::{Bare, HEADERS, Party};
use crate::ip::tcp::limits::Doubt;
use crate::ip::time::smoltcp_duration;
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant as Time;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// Where replies go, and when.
pub(crate) type Moment = (Option<[u8; 6]>, Time);

impl Engine {
    /// Has the socket send a challenge ACK, `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, at most one a second
    /// (RFC 5961, 7): it does so upon an empty segment in front of its window.
    #[cold]
    pub(crate) fn challenge(&mut self, endpoint: &mut Endpoint, moment: Moment) {
        self.tally.challenges += 1;
        let before = endpoint.expected.wrapping_sub(1);
        self.play(endpoint, before, &[], moment);
    }

    /// Has the socket acknowledge once more what it has, now: it does so for every segment with text that it
    /// has already.
    #[cold]
    pub(crate) fn acknowledge(&mut self, endpoint: &mut Endpoint, moment: Moment) {
        let before = endpoint.expected.wrapping_sub(1);
        self.play(endpoint, before, &[0], moment);
    }

    /// Plays the peer's last acknowledgement once more: what the socket times from what it has heard last
    /// begins anew.
    #[cold]
    pub(crate) fn hear_again(&mut self, endpoint: &mut Endpoint, now: Time) {
        self.play(endpoint, endpoint.expected, &[], (None, now));
    }

    /// Asks an idle peer for a sign of life, often, and has it given up soon if there is none. What is under way
    /// is such a question already.
    ///
    /// A peer that has reset the connection, with what it had sent before lost on the way, may be too far gone
    /// to answer a challenge: without this, nobody would ever end the connection.
    #[cold]
    pub(crate) fn doubt(&mut self, endpoint: &mut Endpoint, doubt: Doubt, now: Time) {
        let socket = endpoint.socket();
        let lasting = matches!(socket.state(), State::Established | State::CloseWait);
        if lasting && socket.send_queue() == 0 && endpoint.doubt != doubt {
            endpoint.doubt = doubt;
            endpoint.socket().set_keep_alive(Some(smoltcp_duration(doubt.interval())));
            self.hear_again(endpoint, now);
        }
    }

    /// The peer was asked for a sign of life: if it is asked seldom, often from now on.
    #[cold]
    pub(crate) fn has_asked(&mut self, endpoint: &mut Endpoint, now: Time) {
        if endpoint.insists && endpoint.doubt == Doubt::None {
            self.doubt(endpoint, Doubt::Silent, now);
        }
    }

    /// Plays a segment with this text of the peer's, of one byte at most.
    fn play(&mut self, endpoint: &mut Endpoint, sequence: u32, text: &[u8], (hop, now): Moment) {
        let Some(packet) = endpoint.segment_of_peer(sequence, text.len() as u16) else { return };
        let packet = &packet[..HEADERS + text.len()];
        self.deliver(packet, endpoint, hop, now);
    }

    /// Plays text of the peer's that ends where its next begins.
    #[cold]
    pub(crate) fn play_text(&mut self, endpoint: &mut Endpoint, text: &[u8], (hop, now): Moment) {
        let sequence = endpoint.expected.wrapping_sub(text.len() as u32);
        let headers = endpoint.segment_of_peer(sequence, text.len() as u16);
        let mut copy = core::mem::take(&mut self.copy);
        let length = HEADERS + text.len();
        // It was in a packet that had both.
        if let (Some(headers), Some(packet)) = (headers, copy.get_mut(..length)) {
            packet[..HEADERS].copy_from_slice(&headers[..HEADERS]);
            packet[HEADERS..].copy_from_slice(text);
            self.deliver(packet, endpoint, hop, now);
        }
        self.copy = copy;
    }
}

impl Endpoint {
    /// A segment of the peer's with the last acknowledgement and window, and zeros for text. `None` when
    /// the socket has no peer any more.
    fn segment_of_peer(&mut self, sequence: u32, text: u16) -> Option<[u8; HEADERS + 1]> {
        let (acknowledged, window) = (self.acknowledged, self.window);
        let socket = self.socket();
        // In SYN-RECEIVED no other is acceptable: that of our SYN.
        let syn = u32::from(socket.state() == State::SynReceived);
        let bare = Bare {
            source: party(socket.remote_endpoint()?),
            destination: party(socket.local_endpoint()?),
            flags: ACK,
            sequence,
            acknowledgement: acknowledged.wrapping_add(syn),
            window,
        };
        let mut packet = [0; HEADERS + 1];
        packet[..HEADERS].copy_from_slice(&bare.packet_before(text));
        Some(packet)
    }
}

/// A side of the socket's connection.
#[inline]
pub(crate) fn party(endpoint: IpEndpoint) -> Party {
    let IpAddress::Ipv4(address) = endpoint.addr;
    (address.octets(), endpoint.port)
}
