//! The header of a management datagram, and the whole of one that carries a connection message.
//!
//! ```text
//!  0      1       2         3        4        6   8             16          18  20         24
//! | base | class | version | method | status | - | transaction | attribute | - | modifier | 232 bytes |
//! ```

use super::Message;
use super::field::MESSAGE;
use crate::Error;

const BASE_VERSION: u8 = 1;
/// Communication management (IBA volume 1, 13.4).
const CLASS: u8 = 7;
const CLASS_VERSION: u8 = 2;
/// The only method it has.
const SEND: u8 = 3;
const HEADER: usize = 24;

/// A management datagram with a connection message (IBA volume 1, 13.4): the payload of a UD SEND
/// from queue pair 1 to queue pair 1, with [`QKey::GENERAL_SERVICE`](crate::QKey::GENERAL_SERVICE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mad<'a> {
    /// Chosen by the side that opens an exchange, and repeated by the side that answers.
    pub transaction: u64,
    /// What it says.
    pub message: Message<'a>,
}

impl<'a> Mad<'a> {
    /// Bytes of every management datagram.
    pub const LENGTH: usize = HEADER + MESSAGE;

    /// Reads a datagram's payload.
    ///
    /// # Errors
    /// [`Error::MadLength`], [`Error::MadClass`], [`Error::MadMethod`], [`Error::MadAttribute`],
    /// [`Error::ReservedValue`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let (header, message) = payload.split_first_chunk::<HEADER>().ok_or(Error::MadLength)?;
        let message: &[u8; MESSAGE] = message.try_into().map_err(|_| Error::MadLength)?;
        let [base, class, version, method, _, _, _, _, rest @ ..] = *header;
        if (base, class, version) != (BASE_VERSION, CLASS, CLASS_VERSION) {
            return Err(Error::MadClass);
        }
        if method != SEND {
            return Err(Error::MadMethod);
        }
        let [a, b, c, d, e, f, g, h, high, low, ..] = rest;
        let attribute = u16::from_be_bytes([high, low]);
        let transaction = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Ok(Self { transaction, message: Message::parse(attribute, message)? })
    }

    /// Writes a datagram's payload, which is [`Mad::LENGTH`] bytes.
    ///
    /// # Errors
    /// [`Error::MadLength`]; [`Error::PrivateDataTooLong`], [`Error::FieldOverflow`]: the bytes are
    /// then those of no message.
    pub fn emit(&self, payload: &mut [u8]) -> Result<(), Error> {
        let (header, message) =
            payload.split_first_chunk_mut::<HEADER>().ok_or(Error::MadLength)?;
        let message: &mut [u8; MESSAGE] = message.try_into().map_err(|_| Error::MadLength)?;
        *header = [0; HEADER];
        header[..4].copy_from_slice(&[BASE_VERSION, CLASS, CLASS_VERSION, SEND]);
        header[8..16].copy_from_slice(&self.transaction.to_be_bytes());
        header[16..18].copy_from_slice(&self.message.attribute().to_be_bytes());
        *message = [0; MESSAGE];
        self.message.emit(message)
    }
}
