//! Queue pair 1 as a sender: management datagrams become packets.

use super::Route;
use reflex_rdma_wire::cm::Mad;
use reflex_rdma_wire::{
    Bth, Deth, Emitter, Error, Extension, Notice, Opcode, Position, Psn, QKey, Qpn, Transport,
    packet_length,
};

/// The sending side of a port's queue pair 1. It numbers its packets, and has one UDP source port,
/// as Linux has.
#[derive(Clone, Debug)]
pub struct GeneralService {
    next: Psn,
    source_port: u16,
}

impl GeneralService {
    /// Bytes of the longest of its IP packets.
    pub const LENGTH: usize = 40 + 8 + 12 + 8 + Mad::LENGTH + 4;

    /// One that sends its packets from that UDP port.
    pub const fn new(source_port: u16) -> Self {
        Self { next: Psn::new(0), source_port }
    }

    /// Writes an IP packet at the start of `buffer`, and returns how long it is.
    ///
    /// # Errors
    /// [`Error::BufferTooShort`] below [`GeneralService::LENGTH`]; [`Error::MixedFamilies`].
    pub fn emit(
        &mut self,
        route: &Route,
        mad: &[u8; Mad::LENGTH],
        buffer: &mut [u8],
    ) -> Result<usize, Error> {
        let send = Opcode::send(Transport::Datagram, Position::Only, Notice::None);
        let bth = Bth {
            acknowledge: true,
            ..Bth::new(send.ok_or(Error::Opcode)?, Qpn::GENERAL_SERVICE, self.next)
        };
        let deth = Deth { key: QKey::GENERAL_SERVICE, source: Qpn::GENERAL_SERVICE };
        let (envelope, extension) = (route.envelope(self.source_port), Extension::Deth(deth));
        let length = packet_length(&envelope, &extension, mad.len());
        let buffer = buffer.get_mut(..length).ok_or(Error::BufferTooShort)?;
        let mut emitter = Emitter::new(buffer, &envelope, &bth, &extension, mad.len())?;
        emitter.append(mad)?;
        let length = emitter.finish()?;
        self.next = self.next.next();
        Ok(length)
    }
}
