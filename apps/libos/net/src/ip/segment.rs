//! A segment on its way to its socket. What is in order goes to smoltcp as it is; everything else is judged
//! first, in `tcp/arrival.rs`.

use crate::ip::endpoint::Endpoint;
use crate::ip::header::{self};
use crate::ip::interface::Engine;
use crate::ip::tcp::bare::{Bare, HEADERS};
use crate::ip::tcp::limits::Doubt;
use crate::ip::tcp::play::Moment;
use reflex_hil::Frame;
use smoltcp::socket::tcp::State;

/// The flags that say what a segment is.
const KIND: u8 = header::FIN | header::SYN | header::RST | header::ACK;

/// A segment, with the fields that it is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'f> {
    /// The IPv4 packet.
    pub(crate) packet: &'f [u8],
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) window: u16,
    /// Bytes in front of the text, from the packet's first on.
    pub(crate) headers: usize,
}

impl<'f> Segment<'f> {
    /// The segment `payload` of `packet`: 20 bytes at least, with a data offset that was checked.
    #[inline]
    fn new(packet: &'f [u8], payload: &[u8]) -> Self {
        let header = usize::from(payload[12] >> 4) * 4;
        Self {
            packet,
            flags: payload[13] & KIND,
            sequence: header::word(payload, 4),
            acknowledgement: header::word(payload, 8),
            window: u16::from_be_bytes([payload[14], payload[15]]),
            headers: (packet.len() - payload.len() + header).min(packet.len()),
        }
    }

    /// The segment in a classified frame, if its checksum is right.
    #[inline]
    pub(crate) fn of(frame: &'f Frame) -> Option<Self> {
        let (packet, payload) = header::packet(frame)?;
        let right = payload.len() >= 20 && header::is_intact(packet, payload);
        right.then(|| Self::new(packet, payload))
    }

    /// Its text.
    pub(crate) fn text(&self) -> &'f [u8] {
        &self.packet[self.headers..]
    }

    /// Its options.
    pub(crate) fn options(&self) -> &'f [u8] {
        let ports = usize::from(self.packet[0] & 15) * 4;
        self.packet.get(ports + 20..self.headers).unwrap_or_default()
    }

    /// Its headers alone, without options.
    pub(crate) fn bare(&self) -> Bare {
        let ports = header::word(self.packet, usize::from(self.packet[0] & 15) * 4);
        let address = |at| header::word(self.packet, at).to_be_bytes();
        Bare {
            source: (address(header::ADDRESSES), (ports >> 16) as u16),
            destination: (address(header::ADDRESSES + 4), ports as u16),
            flags: self.flags,
            sequence: self.sequence,
            acknowledgement: self.acknowledgement,
            window: self.window,
        }
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// SEG.LEN: what it occupies of the sequence numbers, but for a SYN.
    pub(crate) fn length(&self) -> u32 {
        (self.packet.len() - self.headers) as u32 + u32::from(self.has(header::FIN))
    }
}

/// A socket before it heard a segment.
#[derive(Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) state: State,
    /// Bytes that the application has not taken yet.
    pub(crate) unread: usize,
    /// Bytes that the peer has not acknowledged, sent or not.
    pub(crate) unacknowledged: usize,
    /// Bytes that there is room for.
    pub(crate) room: usize,
}

impl Heard {
    #[inline]
    pub(crate) fn of(endpoint: &mut Endpoint) -> Self {
        let socket = endpoint.socket();
        let unread = socket.recv_queue();
        Self {
            state: socket.state(),
            unread,
            unacknowledged: socket.send_queue(),
            room: socket.recv_capacity() - unread,
        }
    }
}

impl Engine {
    /// A segment of the connection of `endpoint`: checked, then processed by its socket, or in the place of that
    /// where nothing is out of the ordinary (`undisturbed`). True when it was a reset that reached the socket.
    #[inline]
    pub(crate) fn segment(
        &mut self,
        frame: Frame,
        endpoint: &mut Endpoint,
        (hop, now): Moment,
        undisturbed: bool,
    ) -> bool {
        let Some(segment) = Segment::of(&frame) else {
            self.tally.bad_checksum += 1;
            return false;
        };
        if undisturbed
            && endpoint.recovery.is_calm()
            && let Some(hearing) = self.hear_ahead(&segment, endpoint, (hop, now))
        {
            endpoint.hold(frame, hearing);
            return false;
        }
        self.catch_up(endpoint, (hop, now));
        let before = Heard::of(endpoint);
        let acknowledged = segment.acknowledgement.wrapping_sub(endpoint.acknowledged) as usize;
        let text = segment.packet.len() - segment.headers;
        let in_order = before.state == State::Established
            && segment.flags == header::ACK
            && segment.sequence == endpoint.expected
            && text <= before.room
            && acknowledged <= before.unacknowledged
            // Else it is a repeated acknowledgement.
            && (acknowledged > 0 || text > 0 || before.unacknowledged == 0)
            // Options after the opening are of losses.
            && segment.headers == HEADERS
            && endpoint.recovery.is_calm()
            && endpoint.doubt == Doubt::None;
        if !in_order {
            let reset = self.judge(&segment, before, endpoint, (hop, now));
            endpoint.recovery.note_acknowledged(endpoint.acknowledged, now);
            return reset;
        }
        self.deliver(segment.packet, endpoint, hop, now);
        endpoint.note_text(before);
        endpoint.lead.heard(endpoint.expected, endpoint.expected);
        endpoint.window = segment.window;
        endpoint.recovery.note_acknowledged(endpoint.acknowledged, now);
        false
    }
}

impl Endpoint {
    /// Keeps RCV.NXT and SND.UNA as the socket has them, which does not tell: by what it has taken in and
    /// let go of.
    #[inline]
    pub(crate) fn note_text(&mut self, before: Heard) {
        let socket = self.socket();
        let arrived = socket.recv_queue().wrapping_sub(before.unread) as u32;
        let released = before.unacknowledged.wrapping_sub(socket.send_queue()) as u32;
        self.expected = self.expected.wrapping_add(arrived);
        // Which is not acknowledged yet.
        self.lead.open &= arrived == 0;
        self.acknowledged = self.acknowledged.wrapping_add(released);
    }
}
