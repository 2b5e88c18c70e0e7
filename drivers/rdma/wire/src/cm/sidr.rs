//! SIDR_REQ and SIDR_REP: service ID resolution, for datagrams.

use super::field::{Bytes, MESSAGE, get_u8, get_u16, get_u24, get_u32, get_u64, put, put_private};
use super::{CommId, ServiceId};
use crate::bits::u24_u8;
use crate::{Error, PKey, QKey, Qpn};

/// Service ID resolution request (IBA volume 1, table 119).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SidrReq<'a> {
    /// The sender's name for the request.
    pub request_id: CommId,
    /// The partition.
    pub partition: PKey,
    /// The service asked for.
    pub service: ServiceId,
    /// What the application adds. All 216 bytes when it was received.
    pub private_data: &'a [u8],
}

const REQ_PRIVATE: usize = 16;

impl<'a> SidrReq<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - REQ_PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Self {
        Self {
            request_id: CommId(get_u32::<0>(bytes)),
            partition: PKey(get_u16::<4>(bytes)),
            service: ServiceId(get_u64::<8>(bytes)),
            private_data: &bytes[REQ_PRIVATE..],
        }
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        put::<0, 4>(bytes, self.request_id.0.to_be_bytes());
        put::<4, 2>(bytes, self.partition.0.to_be_bytes());
        put::<8, 8>(bytes, self.service.0.to_be_bytes());
        put_private::<REQ_PRIVATE>(bytes, self.private_data)
    }
}

/// How a resolution ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SidrStatus(pub u8);

impl SidrStatus {
    /// The queue pair is named.
    pub const VALID: Self = Self(0);
    /// Nobody offers the service.
    pub const UNSUPPORTED: Self = Self(1);
    /// The application refused.
    pub const REJECTED: Self = Self(2);
    /// No queue pair is to be had.
    pub const NO_QP: Self = Self(3);
    /// It is offered elsewhere.
    pub const REDIRECT: Self = Self(4);
}

/// Service ID resolution response (IBA volume 1, table 120).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SidrRep<'a> {
    /// The receiver's name for the request.
    pub request_id: CommId,
    /// How it ended. What follows counts when it is valid.
    pub status: SidrStatus,
    /// The service's queue pair.
    pub qpn: Qpn,
    /// The service that was asked for.
    pub service: ServiceId,
    /// The queue pair's key.
    pub qkey: QKey,
    /// More about the status, at most 72 bytes.
    pub info: &'a [u8],
    /// What the application adds. All 136 bytes when it was received.
    pub private_data: &'a [u8],
}

const INFO: usize = 24;
const REP_PRIVATE: usize = 96;

impl<'a> SidrRep<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - REP_PRIVATE;
    /// Most additional information.
    pub const INFO: usize = REP_PRIVATE - INFO;

    pub(crate) fn parse(bytes: &'a Bytes) -> Result<Self, Error> {
        let length = usize::from(get_u8::<5>(bytes));
        Ok(Self {
            request_id: CommId(get_u32::<0>(bytes)),
            status: SidrStatus(get_u8::<4>(bytes)),
            qpn: Qpn::new(get_u24::<8>(bytes)),
            service: ServiceId(get_u64::<12>(bytes)),
            qkey: QKey(get_u32::<20>(bytes)),
            info: bytes[INFO..REP_PRIVATE].get(..length).ok_or(Error::ReservedValue)?,
            private_data: &bytes[REP_PRIVATE..],
        })
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        let info = &mut bytes[INFO..REP_PRIVATE];
        info.get_mut(..self.info.len()).ok_or(Error::FieldOverflow)?.copy_from_slice(self.info);
        put::<0, 4>(bytes, self.request_id.0.to_be_bytes());
        put::<4, 2>(bytes, [self.status.0, self.info.len() as u8]);
        put::<8, 4>(bytes, u24_u8(self.qpn.get(), 0));
        put::<12, 8>(bytes, self.service.0.to_be_bytes());
        put::<20, 4>(bytes, self.qkey.0.to_be_bytes());
        put_private::<REP_PRIVATE>(bytes, self.private_data)
    }
}
