//! REJ: refuses.

use super::field::{Bytes, MESSAGE, get_u8, get_u16, get_u32, narrow, put, put_private};
use super::{CommId, Received};
use crate::Error;

/// Why a communication was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RejectReason(pub u16);

impl RejectReason {
    /// No queue pair is to be had.
    pub const NO_QP: Self = Self(1);
    /// Other resources are lacking.
    pub const NO_RESOURCES: Self = Self(3);
    /// The sender waited too long.
    pub const TIMEOUT: Self = Self(4);
    /// The message was not expected.
    pub const UNSUPPORTED_REQUEST: Self = Self(5);
    /// The communication ID is unknown.
    pub const INVALID_COMM_ID: Self = Self(6);
    /// No such communication instance.
    pub const INVALID_COMM_INSTANCE: Self = Self(7);
    /// Nobody listens there.
    pub const INVALID_SERVICE_ID: Self = Self(8);
    /// The transport is not offered.
    pub const INVALID_TRANSPORT: Self = Self(9);
    /// The refusing side still has an earlier connection of that queue pair.
    pub const STALE_CONNECTION: Self = Self(10);
    /// The primary path's GID is not of this port.
    pub const INVALID_GID: Self = Self(12);
    /// The path MTU is not supported.
    pub const INVALID_MTU: Self = Self(26);
    /// The application refused.
    pub const CONSUMER: Self = Self(28);
}

/// Rejection (IBA volume 1, table 108).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rej<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The receiver's.
    pub remote_id: CommId,
    /// What is refused.
    pub received: Received,
    /// Why.
    pub reason: RejectReason,
    /// More about the reason, at most 72 bytes.
    pub info: &'a [u8],
    /// What the application adds. All 148 bytes when it was received.
    pub private_data: &'a [u8],
}

const INFO: usize = 12;
const PRIVATE: usize = 84;

impl<'a> Rej<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - PRIVATE;
    /// Most additional information.
    pub const INFO: usize = PRIVATE - INFO;

    pub(crate) fn parse(bytes: &'a Bytes) -> Result<Self, Error> {
        let length = usize::from(get_u8::<9>(bytes) >> 1);
        Ok(Self {
            local_id: CommId(get_u32::<0>(bytes)),
            remote_id: CommId(get_u32::<4>(bytes)),
            received: Received::from_top(get_u8::<8>(bytes))?,
            reason: RejectReason(get_u16::<10>(bytes)),
            info: bytes[INFO..PRIVATE].get(..length).ok_or(Error::ReservedValue)?,
            private_data: &bytes[PRIVATE..],
        })
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        let room = bytes[INFO..PRIVATE].get_mut(..self.info.len()).ok_or(Error::FieldOverflow)?;
        room.copy_from_slice(self.info);
        let length = narrow(self.info.len() as u8, 7)?;
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<4, 4>(bytes, self.remote_id.0.to_be_bytes());
        put::<8, 2>(bytes, [self.received.top(), length << 1]);
        put::<10, 2>(bytes, self.reason.0.to_be_bytes());
        put_private::<PRIVATE>(bytes, self.private_data)
    }
}
