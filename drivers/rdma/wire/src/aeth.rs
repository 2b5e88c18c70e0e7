//! AETH: what a responder acknowledges.

use crate::bits::{u24, u24_u8};
use crate::{Error, Syndrome};

/// Acknowledge extended transport header (IBA volume 1, 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aeth {
    /// Acknowledged, or why not.
    pub syndrome: Syndrome,
    /// Message sequence number: requests the responder has completed, modulo 2^24.
    pub msn: u32,
}

impl Aeth {
    /// Bytes on the wire.
    pub const LENGTH: usize = 4;

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Syndrome`].
    #[inline]
    pub fn parse([syndrome, msn @ ..]: &[u8; Self::LENGTH]) -> Result<Self, Error> {
        let syndrome = Syndrome::from_bits(*syndrome).ok_or(Error::Syndrome)?;
        Ok(Self { syndrome, msn: u24(*msn) })
    }

    /// Writes it.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8; Self::LENGTH]) {
        let [a, b, c, _] = u24_u8(self.msn, 0);
        *bytes = [self.syndrome.bits(), a, b, c];
    }
}
