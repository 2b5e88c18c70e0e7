//! What applications tell one another with connection messages.

use crate::Error;
use core::fmt;

/// What one side's application tells the other's with a connection message. Zeros follow what was
/// said, up to the length of the message's field (IBA volume 1, 12.6).
#[derive(Clone, Copy)]
pub struct PrivateData {
    bytes: [u8; Self::MOST],
    length: u8,
}

impl PrivateData {
    /// The longest there is.
    pub const MOST: usize = 224;

    /// Of these bytes.
    ///
    /// # Errors
    /// [`Error::PrivateData`] when they are more than `most`.
    pub(crate) fn new(data: &[u8], most: usize) -> Result<Self, Error> {
        if data.len() > most.min(Self::MOST) {
            return Err(Error::PrivateData);
        }
        let mut bytes = [0; Self::MOST];
        bytes[..data.len()].copy_from_slice(data);
        Ok(Self { bytes, length: data.len() as u8 })
    }

    /// As much of what came as there is room for, which is all.
    pub(crate) fn received(data: &[u8]) -> Self {
        let data = data.get(..Self::MOST).unwrap_or(data);
        let mut bytes = [0; Self::MOST];
        bytes[..data.len()].copy_from_slice(data);
        Self { bytes, length: data.len() as u8 }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for PrivateData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateData({})", self.as_bytes().escape_ascii())
    }
}
