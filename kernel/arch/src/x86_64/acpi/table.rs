//! Checked reads of little-endian fields, and the header all tables begin with.

use crate::Error;

/// A table's bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct Bytes<'a>(pub(in super::super) &'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(self, offset: usize) -> Result<[u8; N], Error> {
        let field = self.0.get(offset..).and_then(|rest| rest.first_chunk());
        field.copied().ok_or(Error::TableTruncated)
    }

    pub(in super::super) fn u8(self, offset: usize) -> Result<u8, Error> {
        self.array(offset).map(u8::from_le_bytes)
    }

    pub(in super::super) fn u16(self, offset: usize) -> Result<u16, Error> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub(in super::super) fn u32(self, offset: usize) -> Result<u32, Error> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub(super) fn u64(self, offset: usize) -> Result<u64, Error> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// The bytes from `offset` on; empty when there are none.
    pub(in super::super) fn after(self, offset: usize) -> &'a [u8] {
        self.0.get(offset..).unwrap_or(&[])
    }

    pub(in super::super) fn check_sum(self) -> Result<(), Error> {
        let sum = self.0.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        if sum == 0 { Ok(()) } else { Err(Error::BadChecksum) }
    }
}

/// The header of every table but the root pointer: a signature of four bytes, then the length.
pub(super) struct Header;

impl Header {
    pub(super) const BYTES: usize = 36;
    /// No table of a virtual machine comes near it: a wrong length is not to be summed over.
    const LONGEST: usize = 1 << 20;
}

/// The signature of the table at `address`.
pub(super) fn signature<'a>(
    address: u64,
    memory: &impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<[u8; 4], Error> {
    Bytes(memory(address, Header::BYTES).ok_or(Error::TableTruncated)?).array(0)
}

/// The whole table at `address`, checked for its signature and sum.
pub(super) fn read<'a>(
    address: u64,
    signature: &[u8; 4],
    memory: &impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<Bytes<'a>, Error> {
    let header = Bytes(memory(address, Header::BYTES).ok_or(Error::TableTruncated)?);
    if header.array(0)? != *signature {
        return Err(Error::BadSignature);
    }
    let length = header.u32(4)? as usize;
    if !(Header::BYTES..=Header::LONGEST).contains(&length) {
        return Err(Error::TableTruncated);
    }
    let table = Bytes(memory(address, length).ok_or(Error::TableTruncated)?);
    table.check_sum()?;
    Ok(table)
}
