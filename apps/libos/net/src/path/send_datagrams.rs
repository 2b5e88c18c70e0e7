//! Datagrams of UDP sockets on their way to the interface.

use crate::ip::checksum::Sum;
use crate::ip::device::emit_ethernet;
use crate::ip::header::{ADDRESSES, ETHERNET, UDP};
use crate::ip::neighbour::Answer;
use crate::ip::path_mtu::SMALL;
use crate::path::stack::Stack;
use crate::table::datagram_queue::Outgoing;
use crate::table::socket_record::{HEADERS, PIECE};
use crate::table::waiter::Waiter;
use core::net::SocketAddrV4;
use reflex_event::Kernel;

/// Most datagrams sent in one run: then others of the same priority run.
const BATCH: u32 = 16;

impl<K: Kernel> Stack<K> {
    /// Sends queued datagrams of a socket.
    pub(crate) fn datagrams(&mut self, index: u32, port: u16) {
        let now = self.net.kernel().now();
        self.engine.room = self.engine.transmit.available();
        let mut next = self.net.with(|shared| shared.sockets[index as usize].unsent.front());
        let mut left = BATCH;
        while let Some(datagram) = next.filter(|_| left > 0) {
            left -= 1;
            if self.engine.room == 0 {
                return self.starve(Waiter::Datagrams(index));
            }
            match self.engine.hop(u32::from(*datagram.to.ip()), now) {
                Answer::Known(hop, _) => {
                    if self.send_datagram(index, &datagram, port, &hop) {
                        self.engine.tally.datagrams_sent += 1;
                    } else {
                        continue;
                    }
                }
                Answer::Gone => self.engine.tally.unreachable += 1,
                Answer::Pending => {
                    let waiter = Waiter::Datagrams(index);
                    if self.net.with(|shared| shared.wait_for_neighbour(waiter)) {
                        self.retry_later();
                    }
                    next = None;
                    break;
                }
            }
            next = self.net.with(|shared| {
                let unsent = &mut shared.sockets[index as usize].unsent;
                unsent.pop();
                unsent.front()
            });
        }
        self.engine.transmit.flush();
        self.engine.unflushed = None;
        self.settle_accounts();
        if next.is_some()
            && let Some(event) = self.net.with(|shared| shared.sockets[index as usize].send_event)
        {
            self.net.activate(event);
        }
    }

    /// Sends the oldest datagram of a socket: one copy, from the queue into the transmit buffer.
    fn send_datagram(&mut self, index: u32, datagram: &Outgoing, port: u16, hop: &[u8; 6]) -> bool {
        let Self { net, engine, .. } = self;
        let Some(own) = engine.address else { return true };
        let (mac, from) = (engine.mac, SocketAddrV4::new(own.address, port));
        // A longer one may be fragmented: the application knows nothing of the way (RFC 8085, 3.2).
        let long = HEADERS + datagram.length > usize::from(SMALL);
        let remote = u32::from(*datagram.to.ip());
        let identification = long.then(|| engine.paths.identification(remote));
        let mut fill = |payload: &mut [u8]| {
            for (number, piece) in payload.chunks_mut(PIECE).enumerate() {
                // Nobody but the stack takes it from the queue, so it stays where it is.
                net.with(|shared| {
                    shared.sockets[index as usize].unsent.read(datagram, number * PIECE, piece);
                });
            }
        };
        engine.send(HEADERS + datagram.length, &mut |frame| {
            emit(frame, (&mac, from), (hop, datagram.to), identification, &mut fill);
        })
    }
}

/// Writes a datagram as a frame. With an identification it may be fragmented.
fn emit(
    frame: &mut [u8],
    (own, from): (&[u8; 6], SocketAddrV4),
    (hop, to): (&[u8; 6], SocketAddrV4),
    identification: Option<u16>,
    fill: &mut dyn FnMut(&mut [u8]),
) {
    let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else { return };
    emit_ethernet(ethernet, hop, own);
    let Some((ip, datagram)) = packet.split_first_chunk_mut::<20>() else { return };
    let total = (20 + datagram.len()) as u16;
    // Don't fragment, and therefore no identification (RFC 6864, 4.1), unless it may be.
    *ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, UDP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    if let Some(identification) = identification {
        ip[4..6].copy_from_slice(&identification.to_be_bytes());
        ip[6] = 0;
    }
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    let sum = Sum::ZERO.bytes(&ip[..]).finish();
    ip[10..12].copy_from_slice(&sum);
    let length = total - 20;
    datagram[..2].copy_from_slice(&from.port().to_be_bytes());
    datagram[2..4].copy_from_slice(&to.port().to_be_bytes());
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    datagram[6..8].fill(0);
    fill(&mut datagram[8..]);
    let Some(addresses) = ip[ADDRESSES..].first_chunk::<8>() else { return };
    let sum = Sum::ZERO.bytes(datagram).pseudo_header(addresses, UDP, length).finish();
    // A sum of zero is sent as its other representation (RFC 768).
    let sum = if sum == [0, 0] { [0xff, 0xff] } else { sum };
    datagram[6..8].copy_from_slice(&sum);
}
