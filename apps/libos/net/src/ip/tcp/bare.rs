//! Segments without text, and their headers: made here when no socket makes them.

use crate::ip::header::{ACK, ADDRESSES, FIN, RST, SYN, TCP, word};

/// Length of the headers: IPv4's and TCP's, without options.
pub(crate) const HEADERS: usize = 40;

/// One side of a connection: its address and port.
pub(crate) type Party = ([u8; 4], u16);

/// A segment without text and options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    pub(crate) source: Party,
    pub(crate) destination: Party,
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) window: u16,
}

impl Bare {
    /// The IPv4 packet without checksums, which smoltcp does not look at.
    pub(crate) fn packet(&self) -> [u8; HEADERS] {
        self.packet_before(0)
    }

    /// The headers of a packet with so many bytes behind them, options included, of which the data offset
    /// knows nothing.
    pub(crate) fn packet_before(&self, more: u16) -> [u8; HEADERS] {
        let mut packet = [0; HEADERS];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(HEADERS as u16 + more).to_be_bytes());
        // As all that we send: not to be fragmented.
        packet[6] = 0x40;
        packet[8..10].copy_from_slice(&[64, TCP]);
        packet[ADDRESSES..16].copy_from_slice(&self.source.0);
        packet[16..20].copy_from_slice(&self.destination.0);
        packet[20..22].copy_from_slice(&self.source.1.to_be_bytes());
        packet[22..24].copy_from_slice(&self.destination.1.to_be_bytes());
        packet[24..28].copy_from_slice(&self.sequence.to_be_bytes());
        packet[28..32].copy_from_slice(&self.acknowledgement.to_be_bytes());
        packet[32..34].copy_from_slice(&[0x50, self.flags]);
        packet[34..36].copy_from_slice(&self.window.to_be_bytes());
        packet
    }
}

/// The SYN that ends where the segment `payload` of `packet` does, if that is one without SYN, ACK and RST.
///
/// The reset of a segment without acknowledgement is to acknowledge it (RFC 9293, 3.10.7.1), and of these smoltcp's
/// acknowledges a SYN only.
pub(crate) fn opening_instead(packet: &[u8], payload: &[u8]) -> Option<[u8; HEADERS]> {
    // One of TCP has its 20 bytes, which was checked.
    let flags = if packet[9] == TCP { payload[13] } else { ACK };
    if flags & (SYN | ACK | RST) != 0 {
        return None;
    }
    let text = payload.len().saturating_sub(usize::from(payload[12] >> 4) * 4) as u32;
    let length = text + u32::from(flags & FIN != 0);
    let (ports, address) = (word(payload, 0), |at| word(packet, at).to_be_bytes());
    let syn = Bare {
        source: (address(ADDRESSES), (ports >> 16) as u16),
        destination: (address(ADDRESSES + 4), ports as u16),
        flags: SYN,
        sequence: word(payload, 4).wrapping_add(length).wrapping_sub(1),
        acknowledgement: 0,
        window: 0,
    };
    Some(syn.packet())
}
