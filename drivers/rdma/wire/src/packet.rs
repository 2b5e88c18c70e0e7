//! A whole packet, read.

use crate::{Bth, Datagram, Error, Extension, Icrc};

/// A packet with the right headers, lengths and ICRC: nothing between the sender and here has
/// changed what it says. The sender may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    datagram: Datagram<'a>,
    bth: Bth,
    extension: Extension,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads an IP packet; bytes behind its end are ignored.
    ///
    /// # Errors
    /// [`Error`], the first that is found: IP, UDP, BTH, lengths, extension headers, ICRC.
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        Unverified::parse(Datagram::parse(packet)?)?.verify()
    }

    /// The packet as IP and UDP see it.
    #[inline]
    pub const fn datagram(&self) -> &Datagram<'a> {
        &self.datagram
    }

    /// Its base transport header.
    #[inline]
    pub const fn bth(&self) -> &Bth {
        &self.bth
    }

    /// Its extension headers: those of its opcode.
    #[inline]
    pub const fn extension(&self) -> &Extension {
        &self.extension
    }

    /// Its payload, without pad bytes.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A packet of which all is right but perhaps the ICRC, which costs the most to check. The BTH
/// can be looked at meanwhile: a packet for no queue pair need not be checked any further.
#[derive(Clone, Copy, Debug)]
#[must_use = "the ICRC is still to be checked"]
pub struct Unverified<'a>(Packet<'a>);

impl<'a> Unverified<'a> {
    /// Reads a UDP payload.
    ///
    /// # Errors
    /// Those of [`Error`] that are about the BTH, lengths and extension headers.
    #[inline]
    pub fn parse(datagram: Datagram<'a>) -> Result<Self, Error> {
        let bytes = datagram.payload();
        let (head, rest) = bytes.split_first_chunk().ok_or(Error::Truncated)?;
        let (bth, pad) = Bth::parse(head)?;
        let layout = bth.opcode.layout();
        let rest = rest.len().checked_sub(Icrc::LENGTH).and_then(|end| rest.get(..end));
        let (headers, body) =
            rest.and_then(|rest| rest.split_at_checked(layout.length())).ok_or(Error::Truncated)?;
        if !bytes.len().is_multiple_of(4) {
            return Err(Error::Alignment);
        }
        if !bth.opcode.has_payload() && !body.is_empty() {
            return Err(Error::UnexpectedPayload);
        }
        let payload = body.len().checked_sub(pad).and_then(|end| body.get(..end));
        let payload = payload.ok_or(Error::Pad)?;
        let extension = Extension::parse(layout, headers)?;
        Ok(Self(Packet { datagram, bth, extension, payload }))
    }

    /// The packet as IP and UDP see it.
    #[inline]
    pub const fn datagram(&self) -> &Datagram<'a> {
        &self.0.datagram
    }

    /// The base transport header, which may have been damaged.
    #[inline]
    pub const fn bth(&self) -> &Bth {
        &self.0.bth
    }

    /// Checks the ICRC.
    ///
    /// # Errors
    /// [`Error::Icrc`].
    #[inline]
    pub fn verify(self) -> Result<Packet<'a>, Error> {
        let Datagram { headers, payload } = self.0.datagram;
        let (bth, rest) = payload.split_first_chunk().ok_or(Error::Truncated)?;
        let (covered, icrc) = rest.split_last_chunk().ok_or(Error::Truncated)?;
        if Icrc::over(headers, bth).with(covered).to_bytes() == *icrc {
            Ok(self.0)
        } else {
            Err(Error::Icrc)
        }
    }
}
