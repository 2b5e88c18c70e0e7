//! Fields of a message at fixed places.

use crate::Error;

/// Bytes of a message behind the header of its management datagram.
pub(crate) const MESSAGE: usize = 232;

/// A message as it is on the wire.
pub(crate) type Bytes = [u8; MESSAGE];

/// The `N` bytes at `AT`.
#[inline]
pub(crate) fn get<const AT: usize, const N: usize>(bytes: &Bytes) -> [u8; N] {
    const { assert!(AT + N <= MESSAGE) }
    let mut field = [0; N];
    field.copy_from_slice(&bytes[AT..AT + N]);
    field
}

/// The byte at `AT`.
#[inline]
pub(crate) fn get_u8<const AT: usize>(bytes: &Bytes) -> u8 {
    u8::from_be_bytes(get::<AT, 1>(bytes))
}

/// The number of two bytes at `AT`.
#[inline]
pub(crate) fn get_u16<const AT: usize>(bytes: &Bytes) -> u16 {
    u16::from_be_bytes(get::<AT, 2>(bytes))
}

/// The number of four bytes at `AT`.
#[inline]
pub(crate) fn get_u32<const AT: usize>(bytes: &Bytes) -> u32 {
    u32::from_be_bytes(get::<AT, 4>(bytes))
}

/// The number of three bytes at `AT`.
#[inline]
pub(crate) fn get_u24<const AT: usize>(bytes: &Bytes) -> u32 {
    crate::bits::u24(get::<AT, 3>(bytes))
}

/// The number of eight bytes at `AT`.
#[inline]
pub(crate) fn get_u64<const AT: usize>(bytes: &Bytes) -> u64 {
    u64::from_be_bytes(get::<AT, 8>(bytes))
}

/// Writes `field` at `AT`.
#[inline]
pub(crate) fn put<const AT: usize, const N: usize>(bytes: &mut Bytes, field: [u8; N]) {
    const { assert!(AT + N <= MESSAGE) }
    bytes[AT..AT + N].copy_from_slice(&field);
}

/// Writes `data` at `at`, which ends the message. What it leaves is zero already.
pub(crate) fn put_private<const AT: usize>(bytes: &mut Bytes, data: &[u8]) -> Result<(), Error> {
    const { assert!(AT < MESSAGE) }
    let room = bytes[AT..].get_mut(..data.len()).ok_or(Error::PrivateDataTooLong)?;
    room.copy_from_slice(data);
    Ok(())
}

/// `value`, if it fits in `bits` bits.
pub(crate) fn narrow(value: u8, bits: u32) -> Result<u8, Error> {
    if u32::from(value) >> bits == 0 { Ok(value) } else { Err(Error::FieldOverflow) }
}
