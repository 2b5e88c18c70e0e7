//! DREQ and DREP: the end of a communication.

use super::CommId;
use super::field::{Bytes, MESSAGE, get_u24, get_u32, put, put_private};
use crate::bits::u24_u8;
use crate::{Error, Qpn};

/// Request for communication release (IBA volume 1, table 112).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dreq<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The receiver's.
    pub remote_id: CommId,
    /// The receiver's queue pair.
    pub remote_qpn: Qpn,
    /// What the application adds. All 220 bytes when it was received.
    pub private_data: &'a [u8],
}

const DREQ_PRIVATE: usize = 12;

impl<'a> Dreq<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - DREQ_PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Self {
        Self {
            local_id: CommId(get_u32::<0>(bytes)),
            remote_id: CommId(get_u32::<4>(bytes)),
            remote_qpn: Qpn::new(get_u24::<8>(bytes)),
            private_data: &bytes[DREQ_PRIVATE..],
        }
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<4, 4>(bytes, self.remote_id.0.to_be_bytes());
        put::<8, 4>(bytes, u24_u8(self.remote_qpn.get(), 0));
        put_private::<DREQ_PRIVATE>(bytes, self.private_data)
    }
}

/// Reply to a request for communication release (IBA volume 1, table 113).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drep<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The receiver's.
    pub remote_id: CommId,
    /// What the application adds. All 224 bytes when it was received.
    pub private_data: &'a [u8],
}

const DREP_PRIVATE: usize = 8;

impl<'a> Drep<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - DREP_PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Self {
        Self {
            local_id: CommId(get_u32::<0>(bytes)),
            remote_id: CommId(get_u32::<4>(bytes)),
            private_data: &bytes[DREP_PRIVATE..],
        }
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<4, 4>(bytes, self.remote_id.0.to_be_bytes());
        put_private::<DREP_PRIVATE>(bytes, self.private_data)
    }
}
