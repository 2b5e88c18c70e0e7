//! MRA: the message came, the answer will take a while.

use super::CommId;
use super::field::{Bytes, MESSAGE, get_u8, get_u32, put, put_private};
use crate::{AckTimeout, Error};

/// Which message an MRA or a REJ is about. The discriminant is its code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Received {
    /// A REQ.
    Req = 0,
    /// A REP.
    Rep = 1,
    /// For an MRA, a LAP; for a REJ, no message in particular.
    Other = 2,
}

impl Received {
    /// Of the top two bits.
    pub(super) fn from_top(byte: u8) -> Result<Self, Error> {
        Ok(match byte >> 6 {
            0 => Self::Req,
            1 => Self::Rep,
            2 => Self::Other,
            _ => return Err(Error::ReservedValue),
        })
    }

    /// As the top two bits.
    pub(super) const fn top(self) -> u8 {
        (self as u8) << 6
    }
}

/// Message receipt acknowledgement (IBA volume 1, table 107).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mra<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The receiver's.
    pub remote_id: CommId,
    /// What came.
    pub received: Received,
    /// How long the answer takes at most.
    pub service_timeout: AckTimeout,
    /// What the application adds. All 222 bytes when it was received.
    pub private_data: &'a [u8],
}

const PRIVATE: usize = 10;

impl<'a> Mra<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Result<Self, Error> {
        Ok(Self {
            local_id: CommId(get_u32::<0>(bytes)),
            remote_id: CommId(get_u32::<4>(bytes)),
            received: Received::from_top(get_u8::<8>(bytes))?,
            service_timeout: AckTimeout::from_code(get_u8::<9>(bytes) >> 3),
            private_data: &bytes[PRIVATE..],
        })
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<4, 4>(bytes, self.remote_id.0.to_be_bytes());
        put::<8, 2>(bytes, [self.received.top(), self.service_timeout.code() << 3]);
        put_private::<PRIVATE>(bytes, self.private_data)
    }
}
