//! RTU: confirms an acceptance.

use super::CommId;
use super::field::{Bytes, MESSAGE, get_u32, put, put_private};
use crate::Error;

/// Ready to use (IBA volume 1, table 111).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtu<'a> {
    /// The sender's name for the communication.
    pub local_id: CommId,
    /// The receiver's.
    pub remote_id: CommId,
    /// What the application adds. All 224 bytes when it was received.
    pub private_data: &'a [u8],
}

const PRIVATE: usize = 8;

impl<'a> Rtu<'a> {
    /// Most private data.
    pub const PRIVATE_DATA: usize = MESSAGE - PRIVATE;

    pub(crate) fn parse(bytes: &'a Bytes) -> Self {
        Self {
            local_id: CommId(get_u32::<0>(bytes)),
            remote_id: CommId(get_u32::<4>(bytes)),
            private_data: &bytes[PRIVATE..],
        }
    }

    pub(crate) fn emit(&self, bytes: &mut Bytes) -> Result<(), Error> {
        put::<0, 4>(bytes, self.local_id.0.to_be_bytes());
        put::<4, 4>(bytes, self.remote_id.0.to_be_bytes());
        put_private::<PRIVATE>(bytes, self.private_data)
    }
}
