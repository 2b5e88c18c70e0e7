//! A packet that is due.

use crate::{Gather, Memory, TransmitError};
use reflex_rdma_wire::{Bth, Emitter, Envelope, Error, Extension, packet_length};

/// A packet that is due: its headers, and where its payload lies.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// From where to where.
    pub envelope: &'a Envelope,
    /// The base transport header.
    pub bth: Bth,
    /// The extension headers.
    pub extension: Extension,
    /// The payload.
    pub payload: Gather<'a>,
}

impl Outgoing<'_> {
    /// Bytes of the whole IP packet.
    #[inline]
    pub fn length(&self) -> usize {
        packet_length(self.envelope, &self.extension, self.payload.length() as usize)
    }

    /// Writes the IP packet at the start of `buffer`, its payload read from `memory`, and returns
    /// how long it is.
    ///
    /// # Errors
    /// [`TransmitError::Memory`] when the payload is not there; [`TransmitError::Full`] when the
    /// buffer is shorter than [`Outgoing::length`].
    #[inline]
    pub fn emit<M: Memory>(&self, memory: &M, buffer: &mut [u8]) -> Result<usize, TransmitError> {
        let length = self.payload.length() as usize;
        let (envelope, bth, extension) = (self.envelope, &self.bth, &self.extension);
        let mut emitter = Emitter::new(buffer, envelope, bth, extension, length).map_err(
            |error| match error {
                Error::BufferTooShort => TransmitError::Full,
                // Nothing that waiting would mend; requests are checked when they are posted.
                _ => TransmitError::Memory,
            },
        )?;
        for piece in self.payload.pieces() {
            let room = emitter.room(piece.length as usize);
            let room = room.map_err(|_| TransmitError::Memory)?;
            memory.read(piece.place(), room).map_err(|_| TransmitError::Memory)?;
        }
        // Segments shorter than announced leave payload to come.
        emitter.finish().map_err(|_| TransmitError::Memory)
    }
}
