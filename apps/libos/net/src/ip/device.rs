//! smoltcp's view of the interface: one received packet in, any number of packets out.
//!
//! smoltcp runs with the medium "IP": it neither knows Ethernet nor keeps neighbours. The hop
//! is decided once for a run, and its addresses are written in front of every packet right in
//! the transmit buffer, where smoltcp has just put the packet: the only copy on the way out.

use crate::ip::checksum::Sum;
use crate::ip::header::{ADDRESSES, ETHERNET, FIN, PSH, TCP, offer, word};
use crate::ip::path_mtu::{CARRIED, SMALL};
use crate::ip::tcp::gone::Gone;
use reflex_hil::Transmit;
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// Where a segment's sequence number is in an IPv4 packet without options, as smoltcp makes them.
const SEQUENCE: usize = 24;

/// Where packets are sent during one run of a handler.
pub(crate) struct Port<'a> {
    /// The received packet, from its IPv4 header on.
    pub(crate) packet: Option<&'a [u8]>,
    pub(crate) transmit: &'a mut dyn Transmit,
    pub(crate) own: [u8; 6],
    /// Longest IPv4 packet.
    pub(crate) mtu: usize,
    /// The next hop's hardware address; packets are lost while there is none.
    pub(crate) hop: Option<[u8; 6]>,
    /// Packets that not every link carries may be fragmented, and are told apart by this.
    pub(crate) identification: Option<u16>,
    /// How segments differ from those on the wire.
    pub(crate) gone: Gone,
    /// Where packets go that are lost.
    pub(crate) scratch: &'a mut [u8],
    pub(crate) passed: Passed,
}

/// What has gone through a [`Port`].
pub(crate) struct Passed {
    /// Transmit buffers left.
    pub(crate) room: usize,
    /// Packets sent.
    pub(crate) sent: u32,
    /// Bytes behind headers, of packets sent and lost.
    pub(crate) text: u32,
    /// Packets lost for want of a buffer or a hop.
    pub(crate) lost: u32,
    /// The sequence number of the first segment that was long.
    pub(crate) long: Option<u32>,
    /// The acknowledgement and window of the last packet, if that was a segment.
    pub(crate) offer: Option<(u32, u16)>,
    /// The sequence number behind the last segment with text or a FIN that was sent.
    pub(crate) end: Option<u32>,
    /// The last of these was a segment with the last byte that its socket had to send.
    pub(crate) emptied: bool,
}

impl Passed {
    /// Nothing yet, with so many transmit buffers.
    #[inline]
    pub(crate) const fn none(room: usize) -> Self {
        Self { room, sent: 0, text: 0, lost: 0, long: None, offer: None, end: None, emptied: false }
    }
}

/// The capabilities of an interface with the given MTU, in bytes of IPv4 packet.
pub(crate) fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut checksum = ChecksumCapabilities::default();
    // Both directions are done here, in front of smoltcp: faster, and errors are counted.
    checksum.ipv4 = Checksum::None;
    checksum.tcp = Checksum::None;
    checksum.udp = Checksum::None;
    checksum.icmpv4 = Checksum::Tx;
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    capabilities.checksum = checksum;
    capabilities
}

impl<'a> Port<'a> {
    fn can_send(&self) -> bool {
        self.passed.room > 0 && self.hop.is_some()
    }
}

impl Device for Port<'_> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t>
    where
        Self: 't;

    #[inline]
    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Outgoing<'_>)> {
        let packet = self.packet.take()?;
        Some((Received { packet }, outgoing(self)))
    }

    #[inline]
    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        // Without a hop packets are sent all the same, and lost: smoltcp's own retransmission
        // and time-out then deal with a neighbour that does not answer.
        (self.passed.room > 0).then(|| outgoing(self))
    }

    #[inline]
    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

pub(crate) struct Received<'t> {
    packet: &'t [u8],
}

impl smoltcp::phy::RxToken for Received<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.packet)
    }
}

/// Permission to send one packet. Borrows the port's fields one by one: the port's own lifetime
/// is not the token's.
pub(crate) struct Outgoing<'t> {
    transmit: &'t mut dyn Transmit,
    own: &'t [u8; 6],
    hop: Option<[u8; 6]>,
    identification: Option<u16>,
    gone: Gone,
    passed: &'t mut Passed,
    scratch: &'t mut [u8],
}

#[inline]
fn outgoing<'t>(port: &'t mut Port<'_>) -> Outgoing<'t> {
    let hop = if port.can_send() { port.hop } else { None };
    Outgoing {
        transmit: &mut *port.transmit,
        own: &port.own,
        hop,
        identification: port.identification,
        gone: port.gone,
        passed: &mut port.passed,
        scratch: &mut *port.scratch,
    }
}

impl smoltcp::phy::TxToken for Outgoing<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut write = Some(write);
        let mut result = None;
        if let Some(hop) = self.hop {
            let (own, identification, mut last) = (self.own, self.identification, Last::NONE);
            let gone = self.gone;
            let mut fill = |frame: &mut [u8]| {
                let Some((ethernet, packet)) = frame.split_first_chunk_mut::<ETHERNET>() else {
                    return;
                };
                if let Some(write) = write.take() {
                    result = Some(write(packet));
                }
                emit_ethernet(ethernet, &hop, own);
                if !gone.is_none() {
                    gone.to_wire(packet);
                }
                self.passed.offer = Some(offer(packet));
                if let Some(identification) = identification
                    && length > CARRIED
                {
                    permit_fragments(packet, identification);
                }
                if length > usize::from(SMALL) {
                    self.passed.long.get_or_insert(word(packet, SEQUENCE));
                }
                last = finish(packet);
            };
            let queued = self.transmit.transmit(ETHERNET + length, &mut fill);
            if queued.is_ok() {
                self.passed.sent += 1;
                self.passed.room = self.passed.room.saturating_sub(1);
                self.passed.emptied = last.emptied;
                self.passed.text += last.text;
                self.passed.end = last.end.or(self.passed.end);
            } else {
                self.passed.room = 0;
            }
        }
        match (result, write) {
            (Some(result), _) => result,
            (None, Some(write)) => {
                self.passed.lost += 1;
                // As long as the longest packet smoltcp can want.
                let packet = &mut self.scratch[..length];
                let result = write(packet);
                self.passed.text += finish(packet).text;
                result
            }
            // `write` is gone only when it has run, and then there is a result.
            (None, None) => unreachable!("the packet was written and left no result"),
        }
    }
}

/// Writes the header of an IPv4 frame.
#[inline]
pub(crate) fn emit_ethernet(header: &mut [u8; ETHERNET], to: &[u8; 6], from: &[u8; 6]) {
    header[..6].copy_from_slice(to);
    header[6..12].copy_from_slice(from);
    header[12..].copy_from_slice(&[0x08, 0x00]);
}

/// Lets routers fragment a packet.
#[cold]
fn permit_fragments(packet: &mut [u8], identification: u16) {
    if let Some([high, low, flags, ..]) = packet.get_mut(4..8) {
        [*high, *low] = identification.to_be_bytes();
        *flags = 0;
    }
}

/// What a packet was, if it was a segment.
pub(crate) struct Last {
    /// It has the last byte of its socket's: smoltcp pushes that one, and no other.
    pub(crate) emptied: bool,
    /// Bytes of text.
    pub(crate) text: u32,
    /// The sequence number behind them, or behind a FIN, if there are some or one.
    pub(crate) end: Option<u32>,
}

impl Last {
    const NONE: Self = Self { emptied: false, text: 0, end: None };
}

/// Fills in the checksums smoltcp left zero, and says what the packet was.
#[inline]
pub(crate) fn finish(packet: &mut [u8]) -> Last {
    // smoltcp sends no IPv4 options.
    let Some((header, payload)) = packet.split_first_chunk_mut::<20>() else { return Last::NONE };
    let sum = Sum::ZERO.bytes(&header[..]).finish();
    header[10..12].copy_from_slice(&sum);
    if header[9] != TCP || payload.len() < 20 {
        return Last::NONE;
    }
    let Some(addresses) = header[ADDRESSES..].first_chunk::<8>() else { return Last::NONE };
    let sum = Sum::ZERO.bytes(payload).pseudo_header(addresses, TCP, payload.len() as u16);
    payload[16..18].copy_from_slice(&sum.finish());
    let text = payload.len().saturating_sub(usize::from(payload[12] >> 4) * 4) as u32;
    let length = text + u32::from(payload[13] & FIN != 0);
    let end = (length > 0).then(|| word(payload, 4).wrapping_add(length));
    Last { emptied: payload[13] & (PSH | FIN) != 0, text, end }
}
