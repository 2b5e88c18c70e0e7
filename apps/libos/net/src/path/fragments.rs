//! Fragments on their way through the stack: to be put together, given up in time, or, of echo replies that are too long
//! for one frame, made.

use crate::ip::checksum::Sum;
use crate::ip::device::emit_ethernet;
use crate::ip::header::{self, ADDRESSES, ETHERNET, ICMP, TCP};
use crate::ip::neighbour::Answer;
use crate::ip::reassembly::ASSEMBLED;
use crate::path::stack::Stack;
use reflex_event::{Instant, Kernel};
use reflex_hil::Frame;

/// ICMP: time exceeded, of the fragments of a packet (RFC 792).
const TIME_EXCEEDED: [u8; 2] = [11, 1];

impl<K: Kernel> Stack<K> {
    /// A fragment has come. A packet that is whole by it is taken as what is received.
    pub(crate) fn fragment(&mut self, frame: &[u8]) {
        let now = self.net.kernel().now();
        let whole = self.reassembly.add(frame, now);
        self.count_packets();
        // No segment of a peer's is longer than the link carries: it was told so, and splits what is.
        let is_segment = |frame: &Frame| frame.get(ETHERNET + 9) == Some(&TCP);
        let longest = ETHERNET + self.engine.mtu;
        if let Some(whole) = whole.filter(|whole| whole.len() <= longest || !is_segment(whole))
            && self.assembled.len() < ASSEMBLED
            && let Some(events) = self.net.events()
        {
            self.assembled.push(whole);
            self.net.activate(events.received);
        }
        self.arm_tick(now);
    }

    /// Gives up packets of which the rest has not come in time, and tells their senders.
    pub(crate) fn fragments_expired(&mut self, now: Instant) {
        while let Some(first) = self.reassembly.give_up(now) {
            if let Some(first) = first {
                self.time_exceeded(&first, now);
                self.engine.transmit.flush();
            }
        }
        self.count_packets();
    }

    fn count_packets(&mut self) {
        self.engine.tally.reassembled += core::mem::take(&mut self.reassembly.assembled);
        self.engine.tally.reassembly_failed += core::mem::take(&mut self.reassembly.failed);
    }

    /// Tells the sender of a packet's first fragment that the rest has not come: never in answer to a broadcast
    /// (RFC 1122, 3.2.2), and not more often than other replies.
    fn time_exceeded(&mut self, first: &[u8; 28], now: Instant) {
        let remote = header::word(first, ADDRESSES);
        let own = self.engine.station.address.map(|(own, _)| own);
        if own != Some(header::word(first, ADDRESSES + 4)) {
            return;
        }
        if !self.engine.limiter.take(now) {
            self.engine.tally.rate_limited += 1;
            return;
        }
        let mut message = [0; 36];
        message[..2].copy_from_slice(&TIME_EXCEEDED);
        message[8..].copy_from_slice(first);
        let sum = Sum::ZERO.bytes(&message).finish();
        message[2..4].copy_from_slice(&sum);
        self.send_parts(remote, &[&message], now);
    }

    /// Answers an echo request that has come in fragments, or could not be answered in one frame: smoltcp makes none.
    /// False when it is something else.
    pub(crate) fn long_echo(&mut self, frame: &[u8], now: Instant) -> bool {
        let Some((packet, message)) = header::packet(frame) else { return false };
        let is_request = packet.len() > self.engine.mtu && message.first_chunk() == Some(&[8, 0]);
        if !is_request {
            return false;
        }
        if !header::is_intact(packet, message) {
            self.engine.tally.bad_checksum += 1;
        } else if self.engine.limiter.take(now) {
            // As the request, but for the type; of which the checksum is more by as much (RFC 1624).
            let mut head = [0; 4];
            let sum = Sum::ZERO.bytes(&head).bytes(&message[4..]).finish();
            head[2..4].copy_from_slice(&sum);
            let remote = header::word(packet, ADDRESSES);
            self.send_parts(remote, &[&head, &message[4..]], now);
        } else {
            self.engine.tally.rate_limited += 1;
        }
        true
    }

    /// Sends an ICMP message, which `parts` make together, in as many fragments as it needs.
    fn send_parts(&mut self, remote: u32, parts: &[&[u8]], now: Instant) {
        let engine = &mut self.engine;
        engine.room = engine.transmit.available();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let most = (engine.mtu - 20) / 8 * 8;
        let hop = engine.hop(remote, now);
        let (Answer::Known(hop, _), Some(own)) = (hop, engine.address) else {
            engine.tally.replies_dropped += 1;
            return;
        };
        if engine.room < length.div_ceil(most) {
            engine.tally.replies_dropped += 1;
            return;
        }
        let identification = engine.paths.identification(remote);
        let (mac, local) = (engine.mac, own.address.octets());
        for begin in (0..length).step_by(most) {
            let end = length.min(begin + most);
            let more = u16::from(end < length) << 13;
            let field = more | (begin / 8) as u16;
            engine.send(20 + end - begin, &mut |frame| {
                let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else {
                    return;
                };
                emit_ethernet(ethernet, &hop, &mac);
                let Some((header, bytes)) = packet.split_first_chunk_mut::<20>() else { return };
                *header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, ICMP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                header[2..4].copy_from_slice(&((20 + bytes.len()) as u16).to_be_bytes());
                header[4..6].copy_from_slice(&identification.to_be_bytes());
                header[6..8].copy_from_slice(&field.to_be_bytes());
                header[12..16].copy_from_slice(&local);
                header[16..20].copy_from_slice(&remote.to_be_bytes());
                let sum = Sum::ZERO.bytes(&header[..]).finish();
                header[10..12].copy_from_slice(&sum);
                copy(parts, begin, bytes);
            });
        }
    }
}

/// Copies the bytes that `parts` make together, from `begin` on.
fn copy(parts: &[&[u8]], begin: usize, to: &mut [u8]) {
    let all = parts.iter().flat_map(|part| part.iter());
    for (to, from) in to.iter_mut().zip(all.skip(begin)) {
        *to = *from;
    }
}
