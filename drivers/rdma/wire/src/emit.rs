//! A whole packet, written: front to back, the payload in as many pieces as it comes in.

use crate::{Bth, Envelope, Error, Extension, Icrc, ipv4, ipv6};

/// Longest IP packet.
const LONGEST: usize = 0xffff;

/// Bytes of padding behind a payload of `length` bytes.
#[inline]
const fn padding(length: usize) -> usize {
    length.wrapping_neg() & 3
}

/// Bytes of the whole IP packet that [`Emitter`] writes.
#[inline]
pub fn packet_length(envelope: &Envelope, extension: &Extension, payload: usize) -> usize {
    envelope.length() + Bth::LENGTH + trailing(extension, payload)
}

/// Bytes behind the BTH.
#[inline]
fn trailing(extension: &Extension, payload: usize) -> usize {
    extension.layout().length() + payload + padding(payload) + Icrc::LENGTH
}

/// Writes IP, UDP, BTH and extension headers at the start of `buffer`, for a payload of `payload`
/// bytes that lies elsewhere. Returns how long they are, and the ICRC so far, to be continued
/// over the payload and ended by [`Trailer`]: for devices that gather a frame from several places.
///
/// # Errors
/// [`Error::BufferTooShort`], [`Error::TooLong`], [`Error::ExtensionMismatch`],
/// [`Error::UnexpectedPayload`], [`Error::MixedFamilies`].
#[inline]
pub fn emit_headers(
    buffer: &mut [u8],
    envelope: &Envelope,
    bth: &Bth,
    extension: &Extension,
    payload: usize,
) -> Result<(usize, Icrc), Error> {
    let (start, icrc) = emit_to_bth(buffer, envelope, bth, extension, payload)?;
    let end = start + extension.layout().length();
    let bytes = buffer.get_mut(start..end).ok_or(Error::BufferTooShort)?;
    extension.emit(bytes)?;
    Ok((end, icrc.with(bytes)))
}

/// Writes up to the BTH; where that ends, and the ICRC so far.
#[inline]
fn emit_to_bth(
    buffer: &mut [u8],
    envelope: &Envelope,
    bth: &Bth,
    extension: &Extension,
    payload: usize,
) -> Result<(usize, Icrc), Error> {
    if bth.opcode.layout() != extension.layout() {
        return Err(Error::ExtensionMismatch);
    }
    if payload != 0 && !bth.opcode.has_payload() {
        return Err(Error::UnexpectedPayload);
    }
    // Checked first, so that nothing below overflows.
    if payload > LONGEST {
        return Err(Error::TooLong);
    }
    let inside = Bth::LENGTH + trailing(extension, payload);
    let pad = padding(payload);
    match (envelope.source.ipv4_bytes(), envelope.destination.ipv4_bytes()) {
        (Some(source), Some(destination)) => {
            if ipv4::HEADERS + inside > LONGEST {
                return Err(Error::TooLong);
            }
            let (headers, rest) = buffer.split_first_chunk_mut().ok_or(Error::BufferTooShort)?;
            let base = rest.first_chunk_mut().ok_or(Error::BufferTooShort)?;
            ipv4::emit(envelope, source, destination, inside, headers);
            bth.emit(pad, base);
            Ok((ipv4::HEADERS + Bth::LENGTH, Icrc::over_ipv4(headers, base)))
        }
        (None, None) => {
            if ipv6::HEADERS + inside > LONGEST {
                return Err(Error::TooLong);
            }
            let (headers, rest) = buffer.split_first_chunk_mut().ok_or(Error::BufferTooShort)?;
            let base = rest.first_chunk_mut().ok_or(Error::BufferTooShort)?;
            ipv6::emit(envelope, inside, headers);
            bth.emit(pad, base);
            Ok((ipv6::HEADERS + Bth::LENGTH, Icrc::over_ipv6(headers, base)))
        }
        _ => Err(Error::MixedFamilies),
    }
}

/// What a packet ends with: pad bytes and the ICRC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    bytes: [u8; 8],
    start: usize,
}

impl Trailer {
    /// Ends a packet with a payload of `payload` bytes, which `icrc` covers already.
    #[inline]
    pub fn new(icrc: Icrc, payload: usize) -> Self {
        let pad = padding(payload);
        let [a, b, c, d] = icrc.with(&[0; 3][..pad]).to_bytes();
        Self { bytes: [0, 0, 0, 0, a, b, c, d], start: 4 - pad }
    }

    /// The bytes, 4 to 7.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// A packet that is being written into the buffer it is sent from: headers when it is made, the
/// payload piece by piece, pad bytes and ICRC at the end.
#[derive(Debug)]
#[must_use = "the packet is not finished"]
pub struct Emitter<'b> {
    /// The whole packet.
    buffer: &'b mut [u8],
    /// Up to the BTH.
    icrc: Icrc,
    /// Where the BTH ends.
    start: usize,
    /// Where the next byte of payload goes.
    next: usize,
    /// Where the payload ends.
    end: usize,
}

impl<'b> Emitter<'b> {
    /// Writes all headers at the start of `buffer`, for a payload of `payload` bytes.
    ///
    /// # Errors
    /// [`Error::BufferTooShort`], [`Error::TooLong`], [`Error::ExtensionMismatch`],
    /// [`Error::UnexpectedPayload`], [`Error::MixedFamilies`].
    #[inline]
    pub fn new(
        buffer: &'b mut [u8],
        envelope: &Envelope,
        bth: &Bth,
        extension: &Extension,
        payload: usize,
    ) -> Result<Self, Error> {
        let (start, icrc) = emit_to_bth(buffer, envelope, bth, extension, payload)?;
        let length = start + trailing(extension, payload);
        let buffer = buffer.get_mut(..length).ok_or(Error::BufferTooShort)?;
        let next = start + extension.layout().length();
        extension.emit(buffer.get_mut(start..next).ok_or(Error::BufferTooShort)?)?;
        Ok(Self { buffer, icrc, start, next, end: next + payload })
    }

    /// Bytes of payload that are still to come.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.end - self.next
    }

    /// The room for the next `length` bytes of payload, to be filled by the caller.
    ///
    /// # Errors
    /// [`Error::PayloadLength`] when so many are not to come.
    #[inline]
    pub fn room(&mut self, length: usize) -> Result<&mut [u8], Error> {
        if length > self.remaining() {
            return Err(Error::PayloadLength);
        }
        let from = self.next;
        self.next += length;
        self.buffer.get_mut(from..self.next).ok_or(Error::PayloadLength)
    }

    /// The next piece of payload.
    ///
    /// # Errors
    /// [`Error::PayloadLength`] when so much is not to come.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.room(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes pad bytes and ICRC, computed over what now lies in the buffer. Returns the length
    /// of the IP packet.
    ///
    /// # Errors
    /// [`Error::PayloadLength`] when payload is still to come.
    #[inline]
    pub fn finish(self) -> Result<usize, Error> {
        if self.next != self.end {
            return Err(Error::PayloadLength);
        }
        let length = self.buffer.len();
        let (covered, icrc) = self.buffer.split_last_chunk_mut().ok_or(Error::BufferTooShort)?;
        if let Some(pad) = covered.get_mut(self.end..) {
            pad.fill(0);
        }
        *icrc = self.icrc.with(covered.get(self.start..).unwrap_or(&[])).to_bytes();
        Ok(length)
    }
}
